//! Fetches that are under way, so that all who want the same content wait for one.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::error::Error;

type Outcome = Option<Result<(), Error>>;
type Waiting = Arc<Mutex<HashMap<String, watch::Receiver<Outcome>>>>;

/// Fetches that are under way.
#[derive(Default)]
pub(super) struct Flights(Waiting);

/// A fetch; others may begin a new one when this is dropped.
struct Flight {
    waiting: Waiting,
    key: String,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.key);
    }
}

impl Flights {
    /// Does some work, or waits for the same work that was begun before. It is completed even if all who wait for it leave.
    ///
    /// # Errors
    /// Those of the work, and [`Error::Interrupted`] if it panicked.
    pub async fn join(
        &self,
        key: String,
        work: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Result<(), Error> {
        let mut outcome = self.receiver(key, work);
        let ended = outcome.wait_for(Option::is_some).await;
        let ended = ended.map_err(|_| Error::Interrupted)?;
        ended.clone().unwrap_or(Err(Error::Interrupted))
    }

    fn receiver(
        &self,
        key: String,
        work: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> watch::Receiver<Outcome> {
        let mut waiting = self.0.lock();
        if let Some(begun) = waiting.get(&key) {
            return begun.clone();
        }
        let (sender, receiver) = watch::channel(None);
        waiting.insert(key.clone(), receiver.clone());
        let flight = Flight {
            waiting: Arc::clone(&self.0),
            key,
        };
        tokio::spawn(async move {
            let outcome = work.await;
            drop(flight);
            let _ = sender.send_replace(Some(outcome));
        });
        receiver
    }
}
