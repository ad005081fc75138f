//! Answering with content that is named by its digest: conditions, ranges and HEAD are the same for manifests and blobs.

use std::ops::Range;

use axum::body::Body;
use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG};
use http::{HeaderMap, Response, StatusCode};

use super::answer::{self, Answer};
use super::body::{ContentBody, FileSource, Part};
use super::error::Failure;
use super::range::{self, Selection};
use crate::oci::Digest;

/// Something to be served, whole or in parts.
pub(super) struct Content<'c> {
    pub digest: &'c Digest,
    pub media_type: &'c str,
    /// In bytes.
    pub size: u64,
    /// Whether a cache may keep it without asking again.
    pub is_immutable: bool,
}

/// Where a content's bytes come from.
pub(super) enum Bytewise {
    Memory(Bytes),
    File(FileSource),
    /// HEAD: nowhere.
    Nothing,
}

impl Content<'_> {
    /// The answer to a client that holds this content already.
    ///
    /// # Errors
    /// The client wants another content or none.
    pub(super) fn unneeded(&self, headers: &HeaderMap) -> Result<Option<Response<Body>>, Failure> {
        if range::is_another(headers, self.digest.as_str()) {
            return Err(Failure::Precondition);
        }
        Ok(range::is_held(headers, self.digest.as_str()).then(|| self.not_modified()))
    }

    fn not_modified(&self) -> Response<Body> {
        let mut response = self.start(StatusCode::NOT_MODIFIED).finish();
        response.headers_mut().remove(http::header::CONTENT_LENGTH);
        response
    }

    /// Answers a GET or HEAD.
    pub(super) fn answer(&self, headers: &HeaderMap, bytes: Bytewise) -> Result<Response<Body>, Failure> {
        match range::select(headers, self.size, self.digest.as_str())? {
            Selection::Whole => {
                let answer = self.start(StatusCode::OK).header(CONTENT_TYPE, self.media_type);
                Ok(bytes.fill(answer, vec![Piece::Content(0..self.size)]))
            }
            Selection::Parts(parts) if parts.len() == 1 => {
                let answer = self.start(StatusCode::PARTIAL_CONTENT).header(CONTENT_TYPE, self.media_type);
                let answer = answer.header(CONTENT_RANGE, self.content_range(&parts[0]));
                Ok(bytes.fill(answer, parts.into_iter().map(Piece::Content).collect()))
            }
            Selection::Parts(parts) => Ok(self.multipart(parts, bytes)),
        }
    }

    /// RFC 9110, section 14.6.
    fn multipart(&self, parts: Vec<Range<u64>>, bytes: Bytewise) -> Response<Body> {
        let boundary = uuid::Uuid::new_v4().simple().to_string();
        let mut pieces = Vec::with_capacity(parts.len() * 2 + 1);
        for part in parts {
            let (media_type, range) = (self.media_type, self.content_range(&part));
            let end = if pieces.is_empty() { "" } else { "\r\n" };
            let head = format!("{end}--{boundary}\r\nContent-Range: {range}\r\nContent-Type: {media_type}\r\n\r\n");
            pieces.extend([Piece::Extra(head), Piece::Content(part)]);
        }
        pieces.push(Piece::Extra(format!("\r\n--{boundary}--\r\n")));
        let answer = self.start(StatusCode::PARTIAL_CONTENT);
        bytes.fill(answer.header(CONTENT_TYPE, format!("multipart/byteranges; boundary={boundary}")), pieces)
    }

    fn start(&self, status: StatusCode) -> Answer {
        let answer = answer::empty(status).digest(self.digest).header(ETAG, format!("\"{}\"", self.digest));
        let answer = answer.header(ACCEPT_RANGES, "bytes");
        if self.is_immutable { answer.header(CACHE_CONTROL, "max-age=31536000") } else { answer }
    }

    fn content_range(&self, part: &Range<u64>) -> String {
        format!("bytes {}-{}/{}", part.start, part.end - 1, self.size)
    }
}

enum Piece {
    Content(Range<u64>),
    Extra(String),
}

impl Piece {
    fn length(&self) -> u64 {
        match self {
            Self::Content(range) => range.end - range.start,
            Self::Extra(text) => text.len() as u64,
        }
    }
}

impl Bytewise {
    fn fill(self, answer: Answer, pieces: Vec<Piece>) -> Response<Body> {
        let length = pieces.iter().map(Piece::length).sum();
        let part = |piece| match (piece, &self) {
            (Piece::Extra(text), _) => Part::Memory(text.into()),
            // contents in memory are manifests, whose size is bounded far below what an index can hold
            (Piece::Content(range), Self::Memory(bytes)) => Part::Memory(bytes.slice(range.start as usize..range.end as usize)),
            (Piece::Content(range), _) => Part::File(range),
        };
        let parts: Vec<Part> = pieces.into_iter().map(part).collect();
        let body = match self {
            Self::Nothing => Body::empty(),
            Self::Memory(_) => match <[Part; 1]>::try_from(parts) {
                Ok([Part::Memory(whole)]) => Body::from(whole),
                Ok(parts) => Body::new(ContentBody::new(parts.into(), None)),
                Err(parts) => Body::new(ContentBody::new(parts, None)),
            },
            Self::File(source) => Body::new(ContentBody::new(parts, Some(source))),
        };
        answer.body(length, body).finish()
    }
}
