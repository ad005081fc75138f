//! Limits of what one upstream is asked: so many requests at once, so many in a second.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::upstream::error::Error;
use crate::upstream::settings::Settings;

/// Limits of what one upstream is asked.
pub(super) struct Gate {
    questions: Arc<Semaphore>,
    fetches: Arc<Semaphore>,
    /// Time between two requests.
    interval: Duration,
    next: Mutex<Instant>,
}

/// Kind of a request: slow blobs do not stand in the way of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) enum Lane {
    /// Manifests, lists, and whatever has no content.
    Question,
    /// The content of a blob.
    Fetch,
}

/// Place of a request at a gate, until its answer has been read.
pub(super) type Permit = OwnedSemaphorePermit;

/// Places of a request: at the gate of all, and at that of background work.
pub(super) type Places = (Permit, Option<Permit>);

impl Gate {
    pub fn new(settings: &Settings) -> Self {
        Self::with(settings.concurrency, settings.fetches, settings.rate)
    }

    /// A gate of so many requests and blobs at once, and so many requests in a second.
    pub fn with(concurrency: usize, fetches: usize, rate: Option<NonZeroU32>) -> Self {
        let places = |number: usize| Arc::new(Semaphore::new(number.max(1)));
        let interval = |rate: NonZeroU32| Duration::from_secs(1) / rate.get();
        Self {
            questions: places(concurrency),
            fetches: places(fetches),
            interval: rate.map_or(Duration::ZERO, interval),
            next: Mutex::new(Instant::now()),
        }
    }

    /// Waits for a place and a turn, `until` some time at most.
    ///
    /// # Errors
    /// [`Error::Crowded`].
    pub async fn enter(&self, lane: Lane, until: Option<Instant>) -> Result<Permit, Error> {
        let places = match lane {
            Lane::Question => &self.questions,
            Lane::Fetch => &self.fetches,
        };
        let waiting = Arc::clone(places).acquire_owned();
        let permit = match until {
            Some(until) => timeout_at(until, waiting)
                .await
                .map_err(|_| Error::Crowded)?,
            None => waiting.await,
        };
        self.pace(until).await?;
        // nothing closes it
        permit.map_err(|error| Error::Unreachable(error.to_string()))
    }

    /// Waits for the time of the next request.
    async fn pace(&self, until: Option<Instant>) -> Result<(), Error> {
        if self.interval.is_zero() {
            return Ok(());
        }
        let turn = {
            let mut next = self.next.lock();
            let turn = (*next).max(Instant::now());
            // whoever cannot wait leaves the turn to others
            if until.is_some_and(|until| turn > until) {
                return Err(Error::Crowded);
            }
            *next = turn + self.interval;
            turn
        };
        sleep_until(turn).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(work)
    }

    fn gate(rate: Option<u32>) -> Gate {
        Gate::new(&Settings {
            concurrency: 1,
            fetches: 1,
            rate: rate.and_then(NonZeroU32::new),
            ..Settings::of("h")
        })
    }

    #[test]
    fn blobs_do_not_stand_in_the_way_of_others() {
        run(async {
            let (gate, now) = (gate(None), Some(Instant::now()));
            let blob = gate.enter(Lane::Fetch, now).await;
            assert!(blob.is_ok());
            assert_eq!(
                gate.enter(Lane::Fetch, now).await.err(),
                Some(Error::Crowded)
            );
            assert!(gate.enter(Lane::Question, now).await.is_ok());
            drop(blob);
            assert!(gate.enter(Lane::Fetch, now).await.is_ok());
        });
    }

    #[test]
    fn whoever_cannot_wait_for_a_turn_takes_none() {
        run(async {
            let gate = gate(Some(1));
            let now = Some(Instant::now());
            assert!(gate.enter(Lane::Question, None).await.is_ok());
            for _ in 0..100 {
                let refused = gate.enter(Lane::Question, now).await;
                assert_eq!(refused.err(), Some(Error::Crowded));
            }
            let turn = *gate.next.lock();
            assert!(turn <= Instant::now() + Duration::from_secs(1));
        });
    }
}
