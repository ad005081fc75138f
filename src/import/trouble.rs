//! Trouble on a walk through another registry: problems that are listed, and repositories that fail.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

/// Maximum number of problems that are listed of one repository.
const PROBLEMS: usize = 100;
/// Number of repositories after each other whose failures end a walk.
const FAILURES: u32 = 3;

/// Places in another registry, each with what is wrong.
#[derive(Default)]
pub(super) struct Problems(Mutex<Vec<(String, String)>>);

impl Problems {
    pub fn list(&self, place: &Path, problem: String) {
        let mut all = self.0.lock();
        if all.len() < PROBLEMS {
            all.push((place.display().to_string(), problem));
        }
    }

    pub fn into_inner(self) -> Vec<(String, String)> {
        self.0.into_inner()
    }
}

/// Count of the repositories that have failed after each other.
#[derive(Default)]
pub(super) struct Failures(AtomicU32);

impl Failures {
    /// Notes that a repository was read.
    pub fn end(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Notes that one has failed; false if the walk must end.
    pub fn may_go_on(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) + 1 < FAILURES
    }
}
