//! Positive answers about content that is needed, which are not written down.
//!
//! After its deletion such content stays for a lease, whatever a client was told before. Only the collection of deleted
//! content does not wait for that: it first has the server write down what pushes count on.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::meta::{Millis, now};
use crate::oci::{Digest, RepositoryName};

/// Maximum number of blobs noted; answers about further ones are not.
const CAPACITY: usize = 20_000;
/// Minimum interval between two searches for notes that have expired.
const CLEARING_INTERVAL: Millis = 60_000;

/// Blobs that pushes count on, since the process started.
#[derive(Default)]
pub(in crate::registry) struct Promises(Mutex<Notes>);

#[derive(Default)]
struct Notes {
    blobs: HashMap<(RepositoryName, Digest), Note>,
    cleared_at: Millis,
}

/// Answers about one blob of a repository.
#[derive(Clone, Copy)]
struct Note {
    /// Time of the last one.
    at: Millis,
    /// Number of answers without a manifest since.
    pushes: u32,
}

impl Promises {
    /// Notes that a client is about to be told of a blob; `lifetime` is how long that counts, in milliseconds.
    ///
    /// Call it before the answer is looked up: what is deleted after the look-up is then known to be promised.
    pub fn note(&self, repository: &RepositoryName, digest: &Digest, lifetime: Millis) {
        let now = now();
        let mut notes = self.0.lock();
        if now.saturating_sub(notes.cleared_at) > CLEARING_INTERVAL {
            notes.cleared_at = now;
            let expired = now.saturating_sub(lifetime);
            notes.blobs.retain(|_, note| note.at > expired);
        }
        let key = (repository.clone(), digest.clone());
        if notes.blobs.len() >= CAPACITY && !notes.blobs.contains_key(&key) {
            return;
        }
        let note = notes
            .blobs
            .entry(key)
            .or_insert(Note { at: now, pushes: 0 });
        note.at = now;
        note.pushes = note.pushes.saturating_add(1);
    }

    /// Reports whether a client was told of the blob, or is about to be.
    pub fn has(&self, repository: &RepositoryName, digest: &Digest) -> bool {
        let key = (repository.clone(), digest.clone());
        self.0.lock().blobs.contains_key(&key)
    }

    /// Takes back one note of each blob: a push that counted on it has ended, or it is not there.
    pub fn fulfil<'d>(
        &self,
        repository: &RepositoryName,
        digests: impl Iterator<Item = &'d Digest>,
    ) {
        let mut notes = self.0.lock();
        for digest in digests {
            let key = (repository.clone(), digest.clone());
            if let Some(note) = notes.blobs.get_mut(&key) {
                note.pushes -= 1;
                if note.pushes == 0 {
                    notes.blobs.remove(&key);
                }
            }
        }
    }

    /// Lists the blobs noted after `since`, with the time of the last note.
    pub fn since(&self, since: Millis) -> Vec<(RepositoryName, Digest, Millis)> {
        let notes = self.0.lock();
        let recent = notes.blobs.iter().filter(|(_, note)| note.at > since);
        recent
            .map(|((repository, digest), note)| (repository.clone(), digest.clone(), note.at))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_stays_until_as_many_pushes_have_ended() {
        let promises = Promises::default();
        let name = RepositoryName::parse("team/app").unwrap();
        let digest = Digest::parse(&format!("sha256:{:064x}", 1)).unwrap();
        let noted = || promises.since(0).len();
        promises.note(&name, &digest, 1000);
        promises.note(&name, &digest, 1000);
        promises.fulfil(&name, [&digest].into_iter());
        assert_eq!(noted(), 1);
        promises.fulfil(&name, [&digest].into_iter());
        promises.fulfil(&name, [&digest].into_iter());
        assert_eq!(noted(), 0);
        promises.note(&name, &digest, 1000);
        assert!(promises.since(now() + 1).is_empty());
    }

    #[test]
    fn the_number_of_notes_is_limited() {
        let promises = Promises::default();
        let name = RepositoryName::parse("team/app").unwrap();
        for number in 0..CAPACITY + 10 {
            let digest = Digest::parse(&format!("sha256:{number:064x}")).unwrap();
            promises.note(&name, &digest, 1_000_000);
        }
        assert_eq!(promises.since(0).len(), CAPACITY);
    }
}
