//! Answers of an upstream that are remembered for a short time, so that the pages of a list are cut from one.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Maximum number of answers.
const MOST: usize = 32;

/// Answers by their questions.
pub(super) struct Recent<K, V>(Mutex<HashMap<K, Arc<Kept<V>>>>);

/// Answer to one question; locked while it is asked.
type Kept<V> = tokio::sync::Mutex<Option<(Instant, Arc<V>)>>;

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    /// Returns an answer that is not older than `fresh`, or asks once for all who wait.
    ///
    /// An answer that `is_small` does not accept is asked for again every time.
    ///
    /// # Errors
    /// Those of `ask`.
    pub async fn get<E>(
        &self,
        key: &K,
        fresh: Duration,
        is_small: impl FnOnce(&V) -> bool,
        ask: impl Future<Output = Result<V, E>>,
    ) -> Result<Arc<V>, E> {
        let kept = self.kept(key);
        let mut answer = kept.lock().await;
        if let Some((at, known)) = answer.as_ref()
            && at.elapsed() < fresh
        {
            return Ok(Arc::clone(known));
        }
        *answer = None;
        let asked = Arc::new(ask.await?);
        if is_small(&asked) {
            *answer = Some((Instant::now(), Arc::clone(&asked)));
        }
        Ok(asked)
    }

    fn kept(&self, key: &K) -> Arc<Kept<V>> {
        let mut all = self.0.lock();
        if all.len() >= MOST && !all.contains_key(key) {
            // those that no request holds
            all.retain(|_, kept| Arc::strong_count(kept) > 1);
        }
        Arc::clone(all.entry(key.clone()).or_default())
    }
}
