//! Answers of an upstream, read in bounded pieces and in bounded time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::gate::Places;
use crate::upstream::error::Error;

/// Longest time for a whole manifest or page, as a multiple of that between two pieces.
const STALLS: u32 = 10;

/// An answer whose body can still be read; it keeps its place among the requests.
pub(in crate::upstream) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Address that answered in the end.
    pub url: Uri,
    pub(super) body: Incoming,
    pub(super) stall: Duration,
    pub(super) _place: Places,
}

impl Answer {
    /// Returns a header that is text.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Timeout`] and [`Error::Unreachable`], also for a body that is shorter than it says.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let frame = timeout(self.stall, self.body.frame()).await;
            let frame = frame.map_err(|_| Error::Timeout(self.stall))?;
            let broken = |error| Error::Unreachable(format!("the answer broke off: {error}"));
            let Some(frame) = frame.transpose().map_err(broken)? else {
                return Ok(None);
            };
            if let Ok(bytes) = frame.into_data()
                && !bytes.is_empty()
            {
                return Ok(Some(bytes));
            }
        }
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// [`Error::Broken`] if it has more bytes than `limit`, and [`Error::Timeout`], also for one that comes too slowly.
    pub async fn read(&mut self, limit: usize) -> Result<Bytes, Error> {
        let longest = self.stall * STALLS;
        let read = timeout(longest, self.read_all(limit)).await;
        read.unwrap_or(Err(Error::Timeout(longest)))
    }

    async fn read_all(&mut self, limit: usize) -> Result<Bytes, Error> {
        let mut whole = BytesMut::new();
        while let Some(bytes) = self.chunk().await? {
            if whole.len() + bytes.len() > limit {
                return Err(Error::Broken(format!("it has more than {limit} bytes")));
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole.freeze())
    }
}
