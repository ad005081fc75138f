//! Responses with content that a digest names. Conditions, ranges and HEAD are the same for manifests and blobs.

use std::ops::Range;

use axum::body::Body;
use http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG};
use http::{HeaderMap, Response, StatusCode};

use crate::http::api::download::body::{ContentBody, Part};
use crate::http::api::download::range::{self, Selection};
use crate::http::api::download::source::{Source, slice};
use crate::http::api::request::conditions::precondition;
use crate::http::response::builder::{self, ResponseBuilder};
use crate::http::response::error::ApiError;
use crate::oci::Digest;

/// Content to serve, whole or in parts.
pub(crate) struct Content<'c> {
    pub digest: &'c Digest,
    pub media_type: &'c str,
    /// Size in bytes; `None` of a blob that is arriving, if the other registry does not say it.
    pub size: Option<u64>,
    /// True if caches may keep it without revalidation.
    pub is_immutable: bool,
}

impl Content<'_> {
    /// Checks `If-Match` and `If-None-Match`. Returns a 304 if the client has this content already.
    ///
    /// # Errors
    /// `If-Match` names other content.
    pub(crate) fn check_preconditions(
        &self,
        headers: &HeaderMap,
    ) -> Result<Option<Response<Body>>, ApiError> {
        let condition = precondition(headers);
        condition.check_matching(Some(self.digest))?;
        let is_known = condition.excludes(Some(self.digest));
        Ok(is_known.then(|| self.not_modified()))
    }

    fn not_modified(&self) -> Response<Body> {
        let answer = self.start(StatusCode::NOT_MODIFIED);
        answer.unmeasured_body(Body::empty()).finish()
    }

    /// Responds to a GET, or without a source to a HEAD.
    pub(crate) fn answer(
        &self,
        headers: &HeaderMap,
        source: Option<Source>,
    ) -> Result<Response<Body>, ApiError> {
        let Some(size) = self.size else {
            return Ok(self.unmeasured(source));
        };
        match range::select(headers, size, self.digest.as_str())? {
            Selection::Whole => {
                let answer = self
                    .start(StatusCode::OK)
                    .header(CONTENT_TYPE, self.media_type);
                Ok(fill(answer, source, 0..size))
            }
            Selection::Parts(parts) => match <[_; 1]>::try_from(parts) {
                Ok([part]) => {
                    let answer = self
                        .start(StatusCode::PARTIAL_CONTENT)
                        .header(CONTENT_TYPE, self.media_type);
                    let answer = answer.header(CONTENT_RANGE, content_range(&part, size));
                    Ok(fill(answer, source, part))
                }
                Err(parts) => {
                    let multipart = Multipart::new(self.media_type, size, parts);
                    let answer = self
                        .start(StatusCode::PARTIAL_CONTENT)
                        .header(CONTENT_TYPE, multipart.content_type());
                    Ok(fill_many(answer, source, multipart))
                }
            },
        }
    }

    /// Responds with all of content whose size is not known: a range of it is not known either.
    fn unmeasured(&self, source: Option<Source>) -> Response<Body> {
        let answer = self.start(StatusCode::OK);
        let body = source.map_or_else(Body::empty, |source| {
            let parts = std::iter::once(Part::Stored(0..u64::MAX));
            Body::new(ContentBody::new(parts, None, source))
        });
        answer
            .header(CONTENT_TYPE, self.media_type)
            .unmeasured_body(body)
            .finish()
    }

    fn start(&self, status: StatusCode) -> ResponseBuilder {
        let answer = builder::empty(status)
            .digest(self.digest)
            .header(ETAG, format!("\"{}\"", self.digest));
        let answer = answer.header(ACCEPT_RANGES, "bytes");
        if self.is_immutable {
            answer.header(CACHE_CONTROL, "max-age=31536000")
        } else {
            answer
        }
    }
}

fn content_range(part: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", part.start, part.end - 1)
}

/// Several parts in one body (RFC 9110, section 14.6). The delimiters of each part are made when it is sent: they are
/// much longer than the range that requests it.
struct Multipart {
    boundary: String,
    media_type: String,
    size: u64,
    parts: Vec<Range<u64>>,
}

enum Piece {
    Content(Range<u64>),
    Extra(String),
}

impl Multipart {
    fn new(media_type: &str, size: u64, parts: Vec<Range<u64>>) -> Self {
        let boundary = uuid::Uuid::new_v4().simple().to_string();
        Self {
            boundary,
            media_type: media_type.to_owned(),
            size,
            parts,
        }
    }

    fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    fn head(&self, number: usize) -> String {
        let Self {
            boundary,
            media_type,
            size,
            parts,
        } = self;
        let (range, end) = (
            content_range(&parts[number], *size),
            if number == 0 { "" } else { "\r\n" },
        );
        format!("{end}--{boundary}\r\nContent-Range: {range}\r\nContent-Type: {media_type}\r\n\r\n")
    }

    /// Returns the piece with this number; each part has two. `None` after the end.
    fn piece(&self, number: usize) -> Option<Piece> {
        let part = number / 2;
        match self.parts.get(part) {
            Some(range) if number % 2 == 1 => Some(Piece::Content(range.clone())),
            Some(_) => Some(Piece::Extra(self.head(part))),
            None => (number == self.parts.len() * 2)
                .then(|| Piece::Extra(format!("\r\n--{}--\r\n", self.boundary))),
        }
    }

    fn length(&self) -> u64 {
        let length = |piece| match piece {
            Piece::Content(range) => range.end - range.start,
            Piece::Extra(text) => text.len() as u64,
        };
        (0..)
            .map_while(|number| self.piece(number))
            .map(length)
            .sum()
    }
}

fn fill(answer: ResponseBuilder, source: Option<Source>, range: Range<u64>) -> Response<Body> {
    let length = range.end - range.start;
    let body = source.map_or_else(Body::empty, |source| match source.in_memory() {
        Some(bytes) => Body::from(slice(bytes, range)),
        None => {
            let parts = std::iter::once(Part::Stored(range));
            Body::new(ContentBody::new(parts, Some(length), source))
        }
    });
    answer.body(length, body).finish()
}

fn fill_many(
    answer: ResponseBuilder,
    source: Option<Source>,
    multipart: Multipart,
) -> Response<Body> {
    let length = multipart.length();
    let part = |piece| match piece {
        Piece::Extra(text) => Part::Memory(text.into()),
        Piece::Content(range) => Part::Stored(range),
    };
    let parts = (0..).map_while(move |number| multipart.piece(number).map(part));
    let body = source.map_or_else(Body::empty, |source| {
        Body::new(ContentBody::new(parts, Some(length), source))
    });
    answer.body(length, body).finish()
}
