//! Fetches that are under way, so that all who want the same content wait for one.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::error::Error;
use super::refusals::Refusals;

/// Maximum number of fetches from one upstream at once, those that wait for their turn included.
const FROM_ONE: usize = 128;
/// Maximum number of fetches from all upstreams at once.
const IN_ALL: usize = 512;
/// Maximum number of lists that are wanted from one upstream at once, and from all.
const LISTS_FROM_ONE: usize = 32;
const LISTS_IN_ALL: usize = 128;

/// State of a fetch, as those who wait for it see it; `None` before it says anything.
type State<T> = Option<Result<T, Error>>;
type Waiting<T> = Arc<Mutex<HashMap<String, watch::Receiver<State<T>>>>>;

/// Fetches that are under way, each with what it says to all who wait.
pub(super) struct Flights<T> {
    waiting: Waiting<T>,
    /// Failures of those that ended a short time ago.
    refusals: Arc<Refusals>,
}

/// Limit of fetches that are under way.
pub(super) struct FetchLimits {
    one: Arc<Semaphore>,
    all: Arc<Semaphore>,
}

/// A fetch; others may begin a new one when this is dropped.
struct Flight<T> {
    waiting: Waiting<T>,
    key: String,
    _places: [OwnedSemaphorePermit; 2],
}

/// Sender of what a fetch says before it ends.
pub(super) struct EarlyAnswer<T>(watch::Sender<State<T>>);

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self {
            waiting: Waiting::default(),
            refusals: Arc::default(),
        }
    }
}

impl<T> Drop for Flight<T> {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.key);
    }
}

impl<T> EarlyAnswer<T> {
    pub fn say(&self, early: T) {
        self.0.send_replace(Some(Ok(early)));
    }
}

/// Limit of fetches from all upstreams.
#[derive(Clone)]
pub(super) struct AllFetches {
    from_one: usize,
    all: Arc<Semaphore>,
}

impl AllFetches {
    pub fn of_content() -> Self {
        Self::with(FROM_ONE, IN_ALL)
    }

    pub fn of_lists() -> Self {
        Self::with(LISTS_FROM_ONE, LISTS_IN_ALL)
    }

    fn with(from_one: usize, in_all: usize) -> Self {
        Self {
            from_one,
            all: Arc::new(Semaphore::new(in_all)),
        }
    }

    /// Returns the limits of one more upstream.
    pub fn one(&self) -> FetchLimits {
        FetchLimits {
            one: Arc::new(Semaphore::new(self.from_one)),
            all: Arc::clone(&self.all),
        }
    }
}

impl FetchLimits {
    fn enter(&self) -> Result<[OwnedSemaphorePermit; 2], Error> {
        let place = |limit: &Arc<Semaphore>| {
            let place = Arc::clone(limit).try_acquire_owned();
            place.map_err(|_| Error::Crowded)
        };
        Ok([place(&self.one)?, place(&self.all)?])
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// Does some work, or joins the same work that was begun before; returns what it says first.
    ///
    /// It is completed even if all who wait for it leave. One that failed a short time ago is not tried again.
    ///
    /// # Errors
    /// Those of the work, [`Error::Crowded`] if too much is under way, and [`Error::Interrupted`] if it panicked.
    pub async fn join<F>(
        &self,
        limits: &FetchLimits,
        key: String,
        work: impl FnOnce(EarlyAnswer<T>) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let mut state = self.receiver(limits, key, work)?;
        let said = state.wait_for(Option::is_some).await;
        let said = said.map_err(|_| Error::Interrupted)?;
        said.clone().unwrap_or(Err(Error::Interrupted))
    }

    /// Does some work as [`Self::join`] does, but waits for its end.
    ///
    /// # Errors
    /// As [`Self::join`].
    pub async fn join_to_end<F>(
        &self,
        limits: &FetchLimits,
        key: String,
        work: impl FnOnce(EarlyAnswer<T>) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let mut state = self.receiver(limits, key, work)?;
        // the sender is gone once it has ended
        while state.changed().await.is_ok() {}
        let said = state.borrow().clone();
        said.unwrap_or(Err(Error::Interrupted))
    }

    fn receiver<F>(
        &self,
        limits: &FetchLimits,
        key: String,
        work: impl FnOnce(EarlyAnswer<T>) -> F,
    ) -> Result<watch::Receiver<State<T>>, Error>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let mut waiting = self.waiting.lock();
        if let Some(begun) = waiting.get(&key) {
            return Ok(begun.clone());
        }
        if let Some(refusal) = self.refusals.of(&key) {
            return Err(refusal);
        }
        let places = limits.enter()?;
        let (sender, receiver) = watch::channel(None);
        waiting.insert(key.clone(), receiver.clone());
        let flight = Flight {
            waiting: Arc::clone(&self.waiting),
            key,
            _places: places,
        };
        let refusals = Arc::clone(&self.refusals);
        let work = work(EarlyAnswer(sender.clone()));
        tokio::spawn(async move {
            let outcome = work.await;
            match &outcome {
                Ok(_) => refusals.forget(&flight.key),
                Err(error) => refusals.keep(&flight.key, error),
            }
            drop(flight);
            sender.send_replace(Some(outcome));
        });
        Ok(receiver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(work)
    }

    #[test]
    fn fetches_are_bounded_and_one_that_is_under_way_is_joined() {
        run(async {
            let limits = FetchLimits {
                one: Arc::new(Semaphore::new(1)),
                all: Arc::new(Semaphore::new(9)),
            };
            let flights = Flights::<u8>::default();
            let (end, ended) = tokio::sync::oneshot::channel::<()>();
            let work = |early: EarlyAnswer<u8>| async move {
                early.say(1);
                let _ = ended.await;
                Ok(2)
            };
            let said = flights.join(&limits, "a".to_owned(), work).await;
            assert_eq!(said.ok(), Some(1));
            let never = |_| async { Ok(9) };
            let said = flights.join(&limits, "a".to_owned(), never).await;
            assert_eq!(said.ok(), Some(1));
            let refused = flights.join(&limits, "b".to_owned(), never).await;
            assert!(matches!(refused, Err(Error::Crowded)));
            end.send(()).unwrap();
            while limits.one.available_permits() == 0 {
                tokio::task::yield_now().await;
            }
            let said = flights.join(&limits, "b".to_owned(), never).await;
            assert_eq!(said.ok(), Some(9));
        });
    }

    #[test]
    fn who_waits_for_a_fetch_that_panics_is_told() {
        run(async {
            let limits = AllFetches::of_content().one();
            let flights = Flights::<u8>::default();
            let work = |_| async { panic!("as a test") };
            let said = flights.join(&limits, "a".to_owned(), work).await;
            assert!(matches!(said, Err(Error::Interrupted)));
        });
    }
}
