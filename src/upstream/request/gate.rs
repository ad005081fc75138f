//! Limits of what one upstream is asked: so many requests at once, so many in a second.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use crate::upstream::error::Error;

/// Limits of what one upstream is asked.
pub(super) struct Gate {
    places: Arc<Semaphore>,
    /// Time between two requests.
    interval: Duration,
    next: Mutex<Instant>,
}

/// A place of a request, until its answer has been read.
pub(super) type Permit = OwnedSemaphorePermit;

impl Gate {
    pub fn new(concurrency: usize, rate: Option<NonZeroU32>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(concurrency.max(1))),
            interval: rate.map_or(Duration::ZERO, |rate| Duration::from_secs(1) / rate.get()),
            next: Mutex::new(Instant::now()),
        }
    }

    /// Waits for a place.
    pub async fn enter(&self) -> Result<Permit, Error> {
        let permit = Arc::clone(&self.places).acquire_owned().await;
        self.pace().await;
        // nothing closes it
        permit.map_err(|error| Error::Unreachable(error.to_string()))
    }

    /// Waits for the time of the next request.
    pub async fn pace(&self) {
        if self.interval.is_zero() {
            return;
        }
        let turn = {
            let mut next = self.next.lock();
            let turn = (*next).max(Instant::now());
            *next = turn + self.interval;
            turn
        };
        sleep_until(turn).await;
    }
}
