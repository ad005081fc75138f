//! Acknowledgements of the server and requests pending at a crash; every restart is checked against
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// A repository and a tag or digest.
pub type Reference = (String, String);

/// Everything acknowledged for one data directory, over all runs of its servers.
#[derive(Default)]
pub struct Ledger {
    state: Mutex<State>,
    ended: AtomicBool,
    deaf: AtomicBool,
}

#[derive(Default)]
pub struct State {
    clock: u64,
    /// Manifests and blobs acknowledged with 201, by digest.
    pub manifests: BTreeSet<Reference>,
    pub blobs: BTreeSet<Reference>,
    pub tags: BTreeMap<Reference, BTreeMap<u64, Attempt>>,
    /// Open sessions by their path.
    pub uploads: BTreeMap<String, Upload>,
}

/// An attempt to point a tag at this digest, or to remove it.
pub struct Attempt {
    pub target: Option<String>,
    pub begun: u64,
    /// Time of the acknowledgement; `None` if the server died first.
    pub ended: Option<u64>,
}

pub struct Upload {
    pub repository: String,
    pub content: Arc<[u8]>,
    /// Bytes acknowledged with 202.
    pub acknowledged: usize,
    /// Bytes sent, acknowledged or not.
    pub sent: usize,
    /// True if a finishing request was sent.
    pub is_finishing: bool,
}

impl Ledger {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no client panicked")
    }

    /// Call before the server is killed: from now on requests may fail.
    pub fn server_killed(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    /// Call before the power is cut: from now on responses do not count. The network fails with the
    /// power, and a file system that is being shut down may report a sync that never happened.
    pub fn power_lost(&self) {
        self.deaf.store(true, Ordering::SeqCst);
        self.server_killed();
    }

    pub fn server_started(&self) {
        self.deaf.store(false, Ordering::SeqCst);
        self.ended.store(false, Ordering::SeqCst);
    }

    /// True if requests may fail.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// True if responses count.
    pub fn is_listening(&self) -> bool {
        !self.deaf.load(Ordering::SeqCst)
    }

    pub fn manifest_acknowledged(&self, repository: &str, digest: &str) {
        self.state()
            .manifests
            .insert((repository.to_owned(), digest.to_owned()));
    }

    pub fn blob_acknowledged(&self, repository: &str, digest: &str) {
        self.state()
            .blobs
            .insert((repository.to_owned(), digest.to_owned()));
    }

    /// A manifest that the repository certainly holds.
    pub fn any_manifest(&self, repository: &str, number: u64) -> Option<String> {
        let state = self.state();
        let mut held = state
            .manifests
            .iter()
            .filter(|(holder, _)| holder == repository);
        let count = held.clone().count() as u64;
        (count > 0)
            .then(|| {
                held.nth((number % count) as usize)
                    .map(|(_, digest)| digest.clone())
            })
            .flatten()
    }

    /// A repository that certainly has the blob.
    pub fn holder(&self, digest: &str) -> Option<String> {
        self.state()
            .blobs
            .iter()
            .find(|(_, held)| held == digest)
            .map(|(repository, _)| repository.clone())
    }

    /// Records the intent to point a tag at `target`; the returned number is for
    /// [`Self::tag_acknowledged`].
    pub fn begin_tag(&self, repository: &str, tag: &str, target: Option<&str>) -> u64 {
        let mut state = self.state();
        state.clock += 1;
        let begun = state.clock;
        let attempt = Attempt {
            target: target.map(str::to_owned),
            begun,
            ended: None,
        };
        state
            .tags
            .entry((repository.to_owned(), tag.to_owned()))
            .or_default()
            .insert(begun, attempt);
        begun
    }

    pub fn tag_acknowledged(&self, repository: &str, tag: &str, number: u64) {
        let mut state = self.state();
        state.clock += 1;
        let now = state.clock;
        let attempts = state
            .tags
            .get_mut(&(repository.to_owned(), tag.to_owned()))
            .expect("a tag that was begun");
        attempts
            .get_mut(&number)
            .expect("an attempt that was begun")
            .ended = Some(now);
    }

    /// Records that an attempt was refused, and so changed nothing.
    pub fn tag_refused(&self, repository: &str, tag: &str, number: u64) {
        self.state()
            .tags
            .get_mut(&(repository.to_owned(), tag.to_owned()))
            .expect("a tag that was begun")
            .remove(&number);
    }

    /// Checks the target of a tag after a restart, and records it as the tag's only state.
    pub fn settle_tag(&self, place: &Reference, found: Option<String>) {
        let mut state = self.state();
        state.clock += 1;
        let now = state.clock;
        let attempts = state.tags.get_mut(place).expect("a tag that was begun");
        let first = Attempt {
            target: None,
            begun: 0,
            ended: Some(0),
        };
        // the first attempt that can be the last: no acknowledged change began after it had ended
        let may_be_last = |attempt: &Attempt| {
            let later = |other: &&Attempt| {
                attempt
                    .ended
                    .is_some_and(|ended| other.begun > ended && other.ended.is_some())
            };
            attempt.target == found && !attempts.values().any(|other| later(&other))
        };
        let possible = attempts.values().chain([&first]).any(may_be_last);
        assert!(
            possible,
            "{place:?} points at {found:?}, after {}",
            describe(attempts)
        );
        *attempts = BTreeMap::from([(
            now,
            Attempt {
                target: found,
                begun: now,
                ended: Some(now),
            },
        )]);
    }

    pub fn upload_opened(&self, path: &str, repository: &str, content: &Arc<[u8]>) {
        let upload = Upload {
            repository: repository.to_owned(),
            content: Arc::clone(content),
            acknowledged: 0,
            sent: 0,
            is_finishing: false,
        };
        self.state().uploads.insert(path.to_owned(), upload);
    }

    /// Updates the record of an open session.
    pub fn upload(&self, path: &str, change: impl FnOnce(&mut Upload)) {
        change(self.state().uploads.get_mut(path).expect("an open session"));
    }

    pub fn upload_finished(&self, path: &str, digest: &str) {
        let mut state = self.state();
        let upload = state.uploads.remove(path).expect("an open session");
        state.blobs.insert((upload.repository, digest.to_owned()));
    }
}

fn describe(attempts: &BTreeMap<u64, Attempt>) -> String {
    let describe = |attempt: &Attempt| {
        format!(
            "\n  {}..{:?}: {:?}",
            attempt.begun, attempt.ended, attempt.target
        )
    };
    attempts.values().map(describe).collect()
}
