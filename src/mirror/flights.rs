//! Fetches that are under way, so that all who want the same content wait for one.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::error::Error;

/// Maximum number of fetches from one upstream at once, those that wait for their turn included.
const FROM_ONE: usize = 128;
/// Maximum number of fetches from all upstreams at once.
const IN_ALL: usize = 512;

/// State of a fetch, as those who wait for it see it; `None` before it says anything.
type State<T> = Option<Result<T, Error>>;
type Waiting<T> = Arc<Mutex<HashMap<String, watch::Receiver<State<T>>>>>;

/// Fetches that are under way, each with what it says to all who wait.
pub(super) struct Flights<T>(Waiting<T>);

/// Limit of fetches that are under way.
pub(super) struct Airspace {
    one: Arc<Semaphore>,
    all: Arc<Semaphore>,
}

/// A fetch; others may begin a new one when this is dropped.
struct Flight<T> {
    waiting: Waiting<T>,
    key: String,
    _places: [OwnedSemaphorePermit; 2],
}

/// Door through which a fetch says something before it ends.
pub(super) struct Announcer<T>(watch::Sender<State<T>>);

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self(Waiting::default())
    }
}

impl<T> Drop for Flight<T> {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.key);
    }
}

impl<T> Announcer<T> {
    pub fn say(&self, early: T) {
        self.0.send_replace(Some(Ok(early)));
    }
}

impl Airspace {
    /// The limits of several upstreams, which share the one of all.
    pub fn of_each() -> impl FnMut() -> Self {
        let all = Arc::new(Semaphore::new(IN_ALL));
        move || Self {
            one: Arc::new(Semaphore::new(FROM_ONE)),
            all: Arc::clone(&all),
        }
    }

    fn enter(&self) -> Result<[OwnedSemaphorePermit; 2], Error> {
        let place = |space: &Arc<Semaphore>| {
            let place = Arc::clone(space).try_acquire_owned();
            place.map_err(|_| Error::Crowded)
        };
        Ok([place(&self.one)?, place(&self.all)?])
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// Does some work, or joins the same work that was begun before; returns what it says first.
    ///
    /// It is completed even if all who wait for it leave.
    ///
    /// # Errors
    /// Those of the work, [`Error::Crowded`] if too much is under way, and [`Error::Interrupted`] if it panicked.
    pub async fn join<F>(
        &self,
        space: &Airspace,
        key: String,
        work: impl FnOnce(Announcer<T>) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let mut state = self.receiver(space, key, work)?;
        let said = state.wait_for(Option::is_some).await;
        let said = said.map_err(|_| Error::Interrupted)?;
        said.clone().unwrap_or(Err(Error::Interrupted))
    }

    fn receiver<F>(
        &self,
        space: &Airspace,
        key: String,
        work: impl FnOnce(Announcer<T>) -> F,
    ) -> Result<watch::Receiver<State<T>>, Error>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let mut waiting = self.0.lock();
        if let Some(begun) = waiting.get(&key) {
            return Ok(begun.clone());
        }
        let places = space.enter()?;
        let (sender, receiver) = watch::channel(None);
        waiting.insert(key.clone(), receiver.clone());
        let flight = Flight {
            waiting: Arc::clone(&self.0),
            key,
            _places: places,
        };
        let work = work(Announcer(sender.clone()));
        tokio::spawn(async move {
            let outcome = work.await;
            drop(flight);
            sender.send_replace(Some(outcome));
        });
        Ok(receiver)
    }
}
