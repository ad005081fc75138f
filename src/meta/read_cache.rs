//! A cache of small reads since the last commit of any process, as [`super::manifest_cache`] is of manifests.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::manifest_cache::State;

/// Maximum number of cached answers.
const CAPACITY: usize = 1000;

/// Answers to reads by key, valid for one state of the database.
pub(in crate::meta) struct ReadCache<T>(Mutex<Option<(State, Answers<T>)>>);

type Answers<T> = HashMap<Box<str>, T>;

impl<T> Default for ReadCache<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> ReadCache<T> {
    /// Returns the answer for a key if it was read in that state.
    pub(in crate::meta) fn get(&self, state: &State, key: &str) -> Option<T> {
        let kept = self.0.lock();
        let (_, answers) = kept.as_ref().filter(|(read_in, _)| read_in == state)?;
        answers.get(key).cloned()
    }

    /// Caches the answer that was read in that state.
    pub(in crate::meta) fn insert(&self, state: State, key: &str, answer: T) {
        let mut kept = self.0.lock();
        match &mut *kept {
            Some((read_in, answers)) if *read_in == state && answers.len() < CAPACITY => {
                answers.insert(key.into(), answer);
            }
            _ => *kept = Some((state, HashMap::from([(key.into(), answer)]))),
        }
    }
}
