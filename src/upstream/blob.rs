//! Blobs of an upstream: a stream that goes on where a connection broke.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::error::Error;
use super::login::Scope;
use super::request::{Answer, Ask, Lane, Upstream};
use crate::oci::{Digest, RepositoryName};

/// Maximum number of breaks in a row.
const BREAKS: u32 = 5;
/// Bytes after which a break counts as the first, so that a server cannot send one byte at a time for ever.
const PROGRESS: u64 = 64 << 10;
/// Time in which that many bytes must come, as a multiple of that between two pieces.
const STALLS: u32 = 20;
/// Base of the pause before a new attempt. It doubles with each: 200 ms before the first one.
const PAUSE: Duration = Duration::from_millis(100);

/// A blob on its way. Whoever stores it compares it with its digest.
pub struct BlobStream {
    upstream: Upstream,
    scope: Scope,
    digest: Digest,
    /// Size of the whole, in bytes, if it is known.
    size: Option<u64>,
    /// Maximum size, in bytes, if the caller knows one.
    limit: Option<u64>,
    /// Bytes that have come.
    received: u64,
    /// Bytes of the current answer that came before.
    to_skip: u64,
    answer: Option<Answer>,
    breaks: u32,
    /// Bytes that have come, those that came before included.
    arrived: u64,
    /// Time since which it is known how fast the answer comes, and value of `arrived` then.
    pace: (Instant, u64),
    /// Value of `received` at the last break.
    received_at_break: u64,
}

impl Upstream {
    /// Fetches a blob.
    ///
    /// # Errors
    /// The failures of every request.
    pub async fn blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<BlobStream, Error> {
        let mut stream = BlobStream {
            upstream: self.clone(),
            scope: Scope::Pull(self.name(repository)),
            digest: digest.clone(),
            size: None,
            limit: None,
            received: 0,
            to_skip: 0,
            answer: None,
            breaks: 0,
            arrived: 0,
            pace: (Instant::now(), 0),
            received_at_break: 0,
        };
        stream.open().await?;
        Ok(stream)
    }

    /// Asks for the size of a blob without its content; `None` if the upstream does not say it.
    ///
    /// Some upstreams refuse `HEAD`: these are asked for one byte.
    ///
    /// # Errors
    /// The failures of every request.
    pub async fn blob_size(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<u64>, Error> {
        let scope = Scope::Pull(self.name(repository));
        let path = format!("{}/blobs/{digest}", self.name(repository));
        let ask = |method, headers| -> Result<_, Error> {
            Ok(Ask {
                method,
                url: self.origin().url(&path)?,
                scope: &scope,
                lane: Lane::Question,
                headers,
            })
        };
        if !self.refuses_head() {
            match self.send(ask(Method::HEAD, HeaderMap::new())?).await {
                Ok(answer) => return Ok(length(&answer)),
                Err(error) if error.is_passing() => return Err(error),
                // no such blob, or no such method
                Err(_) => {}
            }
        }
        let first = HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=0-0"))]);
        let answer = self.send(ask(Method::GET, first)?).await?;
        self.note_head_refused();
        Ok(match answer.status {
            StatusCode::PARTIAL_CONTENT => {
                let range = answer.header(CONTENT_RANGE).and_then(content_range);
                range.and_then(|(_, size)| size)
            }
            _ => length(&answer),
        })
    }
}

fn length(answer: &Answer) -> Option<u64> {
    answer.header(CONTENT_LENGTH)?.parse().ok()
}

/// Failure that ended a stream of bytes, for whoever stored them.
#[derive(Clone, Default)]
pub struct StreamFailure(Arc<Mutex<Option<Error>>>);

impl StreamFailure {
    /// Takes the failure; `None` if the stream came to its end.
    pub fn take(&self) -> Option<Error> {
        self.0.lock().take()
    }
}

impl BlobStream {
    /// Returns the bytes as a stream, and the place of the failure that ends it.
    pub fn into_stream(
        self,
    ) -> (
        impl Stream<Item = Result<Bytes, Error>> + Send + Unpin + 'static,
        StreamFailure,
    ) {
        let failure = StreamFailure::default();
        let kept = failure.clone();
        let pieces = stream::try_unfold(self, move |mut blob| {
            let kept = kept.clone();
            async move {
                match blob.next().await {
                    Ok(next) => Ok(next.map(|bytes| (bytes, blob))),
                    Err(error) => {
                        *kept.0.lock() = Some(error.clone());
                        Err(error)
                    }
                }
            }
        });
        (Box::pin(pieces), failure)
    }

    /// Ends the stream with a failure if it has more than `limit` bytes.
    pub fn limited(self, limit: u64) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }

    /// Size of the blob, in bytes, if the upstream says it.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// Returns the next bytes; `None` at the end.
    ///
    /// # Errors
    /// A failure that came again and again, and answers that do not fit the first.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match self.step().await {
                Err(error) if error.is_passing() && self.may_go_on() => {
                    self.answer = None;
                    tokio::time::sleep(PAUSE * 2_u32.pow(self.breaks.min(BREAKS))).await;
                }
                Ok(Some(bytes)) if bytes.is_empty() => {}
                outcome => return outcome,
            }
        }
    }

    async fn step(&mut self) -> Result<Option<Bytes>, Error> {
        if self.answer.is_none() {
            self.open().await?;
        }
        let Some(answer) = &mut self.answer else {
            return Ok(None);
        };
        let Some(mut bytes) = answer.chunk().await? else {
            return match self.size {
                Some(size) if self.received < size => {
                    Err(Error::Unreachable("the answer ended early".to_owned()))
                }
                _ => Ok(None),
            };
        };
        self.arrived += bytes.len() as u64;
        let again = self.to_skip.min(bytes.len() as u64);
        self.to_skip -= again;
        bytes = bytes.split_off(usize::try_from(again).unwrap_or(bytes.len()));
        self.received += bytes.len() as u64;
        let mut limits = self.size.iter().chain(&self.limit);
        if limits.any(|limit| self.received > *limit) {
            return Err(Error::Broken("the blob is longer than it says".to_owned()));
        }
        self.check_pace()?;
        Ok(Some(bytes))
    }

    /// Fails if the answer comes so slowly that it would never end.
    fn check_pace(&mut self) -> Result<(), Error> {
        let (since, before) = self.pace;
        let longest = self.upstream.stall() * STALLS;
        if since.elapsed() < longest {
            return Ok(());
        }
        self.pace = (Instant::now(), self.arrived);
        match self.arrived - before < PROGRESS {
            true => Err(Error::Timeout(longest)),
            false => Ok(()),
        }
    }

    fn may_go_on(&mut self) -> bool {
        let progress = self.received - self.received_at_break;
        self.breaks = match progress >= PROGRESS {
            true => 1,
            false => self.breaks + 1,
        };
        self.received_at_break = self.received;
        self.breaks <= BREAKS
    }

    /// Asks for the rest, from the registry itself: addresses that it redirects to expire.
    async fn open(&mut self) -> Result<(), Error> {
        let Scope::Pull(name) = &self.scope else {
            return Err(Error::NotFound);
        };
        let path = format!("{name}/blobs/{}", self.digest);
        let mut headers = HeaderMap::new();
        if self.received > 0 {
            let range = HeaderValue::try_from(format!("bytes={}-", self.received));
            headers.extend(range.ok().map(|range| (RANGE, range)));
        }
        let ask = Ask {
            method: Method::GET,
            url: self.upstream.origin().url(&path)?,
            scope: &self.scope,
            lane: Lane::Fetch,
            headers,
        };
        let answer = self.upstream.send(ask).await?;
        let size = match answer.status {
            StatusCode::PARTIAL_CONTENT if self.received > 0 => {
                self.to_skip = 0;
                let range = answer.header(CONTENT_RANGE).and_then(content_range);
                let (start, size) = range
                    .filter(|(start, _)| *start == self.received)
                    .ok_or_else(|| {
                        Error::Broken("it sends another range than it was asked for".to_owned())
                    })?;
                let _: u64 = start;
                size
            }
            StatusCode::OK => {
                self.to_skip = self.received;
                length(&answer)
            }
            status => return Err(Error::Broken(format!("status {}", status.as_u16()))),
        };
        match (self.size, size) {
            (Some(before), Some(now)) if before != now => {
                return Err(Error::Broken("the blob has changed its size".to_owned()));
            }
            (None, size) => self.size = size,
            _ => {}
        }
        self.answer = Some(answer);
        self.pace = (Instant::now(), self.arrived);
        Ok(())
    }
}

/// Parses `bytes START-END/SIZE`; the size may be unknown.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    let size = match size {
        "*" => None,
        size => Some(size.parse().ok()?),
    };
    Some((start.trim().parse().ok()?, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_parsed() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for text in ["bytes */10", "5-9/10", "bytes 5-9", "bytes a-b/c", ""] {
            assert_eq!(content_range(text), None, "{text}");
        }
    }
}
