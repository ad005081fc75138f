//! Meters of bodies: what arrives under a quota, judged while it arrives.
//!
//! The room left in a quota is its size without what its repositories and unfinished uploads hold, which the database
//! knows, and without requests that are being received. These are counted in memory: a request reserves room before its bytes are taken in,
//! all of it if it says its length, and gives it back once the database knows of them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::stream::{self, Stream, StreamExt};
use parking_lot::Mutex;

use crate::registry::error::Error;
use crate::registry::policy::quota::QuotaLimit;
use crate::registry::service::Registry;
use crate::registry::upload::body::{BodyError, BodyStream, Part};
use crate::registry::upload::quota_ledger::Ledger;

/// Room that one request has under a quota. Dropped once the database knows what has come of it.
pub(in crate::registry) struct Meter {
    registry: Registry,
    quota: QuotaLimit,
    ledger: Arc<Ledger>,
    /// Reserved bytes of this request.
    own: AtomicU64,
    /// Value of the ledger's reserved bytes at which the quota is used up.
    end: AtomicU64,
    /// Bytes used apart from those of requests in progress.
    used: AtomicU64,
    refusal: Mutex<Option<Error>>,
}

impl Meter {
    /// Begins with room for `announced` bytes.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub(in crate::registry) async fn open(
        registry: &Registry,
        quota: QuotaLimit,
        announced: u64,
    ) -> Result<Self, Error> {
        let meter = Self {
            registry: registry.clone(),
            ledger: registry.quota_ledgers.of(&quota.name),
            quota,
            own: AtomicU64::new(0),
            end: AtomicU64::new(0),
            used: AtomicU64::new(0),
            refusal: Mutex::default(),
        };
        meter.reserve(announced).await?;
        Ok(meter)
    }

    /// Reserves room for more bytes.
    async fn reserve(&self, bytes: u64) -> Result<(), Error> {
        if bytes == 0 || self.is_reserved(bytes) {
            return Ok(());
        }
        // requests may have given room back, and content may have gone
        self.read_use().await?;
        match self.is_reserved(bytes) {
            true => Ok(()),
            false => Err(self.refuse(bytes)),
        }
    }

    fn is_reserved(&self, bytes: u64) -> bool {
        let end = self.end.load(Ordering::Relaxed);
        let grow = |reserved: u64| reserved.checked_add(bytes).filter(|next| *next <= end);
        let reserved = &self.ledger.reserved;
        let is_reserved = reserved
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, grow)
            .is_ok();
        if is_reserved {
            self.own.fetch_add(bytes, Ordering::Relaxed);
        }
        is_reserved
    }

    async fn read_use(&self) -> Result<(), Error> {
        // before the question: what is settled later may be counted twice, but nothing is left out
        let settled = self.ledger.settled.load(Ordering::SeqCst);
        let quota = self.registry.quotas().usage(&self.quota.name).await?;
        let used = quota.stored.saturating_add(quota.uploading);
        let end = settled.saturating_add(self.quota.limit);
        self.end.store(end.saturating_sub(used), Ordering::Relaxed);
        self.used.store(used, Ordering::Relaxed);
        Ok(())
    }

    fn refuse(&self, bytes: u64) -> Error {
        let own = self.own.load(Ordering::Relaxed);
        let (reserved, settled) = (
            self.ledger.reserved.load(Ordering::SeqCst),
            self.ledger.settled.load(Ordering::SeqCst),
        );
        let others = reserved.saturating_sub(settled).saturating_sub(own);
        let used = self.used.load(Ordering::Relaxed).saturating_add(others);
        self.quota.exceeded(used, own.saturating_add(bytes))
    }

    /// Returns why the body was cut off, if it was by its quota.
    pub(in crate::registry) fn refusal(&self) -> Option<Error> {
        self.refusal.lock().take()
    }

    /// Reserves room for `size` bytes, of which `allowance` is reserved; returns what is reserved now.
    async fn admit(&self, size: u64, allowance: u64) -> Result<u64, BodyError> {
        let missing = size.saturating_sub(allowance);
        if missing == 0 {
            return Ok(allowance);
        }
        match self.reserve(missing).await {
            Ok(()) => Ok(size),
            Err(refusal) => {
                let told = refusal.to_string();
                *self.refusal.lock() = Some(refusal);
                Err(told.into())
            }
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let own = self.own.load(Ordering::Relaxed);
        self.ledger.settled.fetch_add(own, Ordering::SeqCst);
    }
}

/// A body under a quota, if there is one.
pub(super) enum Metered<B> {
    Free(B),
    Limited(Pin<Box<dyn Stream<Item = Result<Part, BodyError>> + Send>>),
}

impl<B: BodyStream> Metered<B> {
    /// Cuts a body off where its quota is used up; `announced` bytes of it have room.
    pub(super) fn new(body: B, meter: Option<Arc<Meter>>, announced: u64) -> Self {
        let Some(meter) = meter else {
            return Self::Free(body);
        };
        let state = Some((body, meter, announced));
        let limited = stream::unfold(state, |state| async move {
            let (mut body, meter, allowance) = state?;
            let part = match body.next().await? {
                Ok(part) => part,
                Err(failed) => return Some((Err(failed), None)),
            };
            // what a direct source gives away is not seen here: at most the rest of the body
            let (size, arrived) = match &part {
                Part::Bytes(bytes) => (bytes.len() as u64, bytes.len() as u64),
                Part::Direct(source) => (source.rest(), 0),
            };
            match meter.admit(size, allowance).await {
                Ok(allowance) => Some((Ok(part), Some((body, meter, allowance - arrived)))),
                Err(full) => Some((Err(full), None)),
            }
        });
        Self::Limited(Box::pin(limited))
    }
}

impl<B: BodyStream> Stream for Metered<B> {
    type Item = Result<Part, BodyError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.get_mut() {
            Self::Free(body) => body.poll_next_unpin(context),
            Self::Limited(body) => body.poll_next_unpin(context),
        }
    }
}
