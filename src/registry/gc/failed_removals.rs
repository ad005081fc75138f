//! Files that cannot be removed: told once, and again where the reason is another one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::oci::Digest;

/// How many are told of; where this many cannot be removed, it is not about the single file.
const CAPACITY: usize = 1000;

/// What this process has said about such files.
#[derive(Default)]
pub(in crate::registry) struct FailedRemovals(Mutex<HashMap<Digest, String>>);

impl FailedRemovals {
    /// Logs that a blob's file could not be removed, unless it has said the same before.
    pub fn log_once(&self, digest: &Digest, error: &std::io::Error) {
        if !self.is_new(digest, error.to_string()) {
            return;
        }
        let remedy = "tried again in every sweep, and told again if the reason changes";
        tracing::warn!(%error, %digest, "a blob's file could not be removed: {remedy}");
    }

    fn is_new(&self, digest: &Digest, reason: String) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= CAPACITY && !told.contains_key(digest) {
            return false;
        }
        let before = told.insert(digest.clone(), reason);
        before.as_ref() != told.get(digest)
    }

    /// The file is gone, or needed again.
    pub fn forget(&self, digest: &Digest) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_told_once_and_not_without_end() {
        let failures = FailedRemovals::default();
        let digest = |number: usize| Digest::parse(&format!("sha256:{number:064x}")).unwrap();
        let is_new = |number, reason: &str| failures.is_new(&digest(number), reason.to_owned());
        assert!(
            is_new(0, "busy")
                && !is_new(0, "busy")
                && is_new(0, "denied")
                && !is_new(0, "denied")
                && is_new(0, "busy")
        );
        failures.forget(&digest(0));
        assert_eq!(
            (0..2 * CAPACITY)
                .filter(|number| is_new(*number, "busy"))
                .count(),
            CAPACITY
        );
        assert!(is_new(0, "denied"));
    }
}
