//! Lists of upstreams that are remembered for a short time, so that their pages are cut from one answer.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Maximum number of answers.
const MOST: usize = 1024;
/// Maximum size of all answers, in bytes: one that is as long as may be, and some others.
const BYTES: usize = 32 << 20;

/// Answers of all upstreams by their questions. Copies share them.
pub(super) struct Recent<K, V>(Arc<Mutex<All<K, V>>>);

struct All<K, V> {
    kept: HashMap<K, Kept<V>>,
    bytes: usize,
}

struct Kept<V> {
    answer: Arc<V>,
    bytes: usize,
    until: Instant,
}

impl<K, V> Clone for Recent<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        let all = All {
            kept: HashMap::new(),
            bytes: 0,
        };
        Self(Arc::new(Mutex::new(all)))
    }
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    /// Returns an answer that is fresh.
    pub fn get(&self, key: &K) -> Option<Arc<V>> {
        let all = self.0.lock();
        let kept = all.kept.get(key)?;
        (Instant::now() < kept.until).then(|| Arc::clone(&kept.answer))
    }

    /// Remembers an answer of a size for some time; the oldest ones make room.
    pub fn keep(&self, key: K, answer: &Arc<V>, bytes: usize, fresh: Duration) {
        let now = Instant::now();
        let mut all = self.0.lock();
        all.forget(&key);
        if fresh.is_zero() || bytes > BYTES {
            return;
        }
        if all.bytes + bytes > BYTES || all.kept.len() >= MOST {
            all.kept.retain(|_, kept| kept.until > now);
            all.bytes = all.kept.values().map(|kept| kept.bytes).sum();
        }
        while all.bytes + bytes > BYTES || all.kept.len() >= MOST {
            let first = all.kept.iter().min_by_key(|(_, kept)| kept.until);
            let Some(first) = first.map(|(key, _)| key.clone()) else {
                break;
            };
            all.forget(&first);
        }
        all.bytes += bytes;
        let kept = Kept {
            answer: Arc::clone(answer),
            bytes,
            until: now + fresh,
        };
        all.kept.insert(key, kept);
    }

    /// Forgets everything: the upstreams are others.
    pub fn clear(&self) {
        let mut all = self.0.lock();
        all.kept.clear();
        all.bytes = 0;
    }
}

impl<K: Eq + Hash, V> All<K, V> {
    fn forget(&mut self, key: &K) {
        if let Some(kept) = self.kept.remove(key) {
            self.bytes -= kept.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Duration = Duration::from_secs(600);

    #[test]
    fn all_answers_together_are_bounded() {
        let recent = Recent::default();
        let third = BYTES / 3;
        for key in 0..4 {
            recent.keep(key, &Arc::new(key), third, FRESH);
        }
        let known: Vec<_> = (0..4).map(|key| recent.get(&key).is_some()).collect();
        assert_eq!(
            known,
            [false, true, true, true],
            "the oldest one makes room"
        );
        recent.keep(1, &Arc::new(9), third, FRESH);
        assert_eq!(recent.get(&1).as_deref(), Some(&9));
        assert_eq!(recent.0.lock().bytes, 3 * third);
        recent.keep(5, &Arc::new(5), BYTES + 1, FRESH);
        assert!(recent.get(&5).is_none() && recent.get(&3).is_some());
        for key in 10..10 + 2 * MOST {
            recent.keep(key, &Arc::new(key), 1, FRESH);
        }
        assert!(recent.0.lock().kept.len() <= MOST);
        recent.clear();
        assert!(recent.get(&(9 + 2 * MOST)).is_none());
    }

    #[test]
    fn an_answer_is_fresh_for_some_time() {
        let recent = Recent::default();
        recent.keep(1, &Arc::new(1), 1, Duration::ZERO);
        assert!(recent.get(&1).is_none());
        recent.keep(1, &Arc::new(1), 1, FRESH);
        recent
            .0
            .lock()
            .kept
            .values_mut()
            .for_each(|kept| kept.until = Instant::now());
        assert!(recent.get(&1).is_none());
    }
}
