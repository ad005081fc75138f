//! Blob files that cannot be removed, logged once for each cause.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::oci::Digest;

/// Maximum number of files remembered; beyond it the cause is not a single file.
const CAPACITY: usize = 1000;

/// Failures that this process has logged.
#[derive(Default)]
pub(in crate::registry) struct FailedRemovals(Mutex<HashMap<Digest, String>>);

impl FailedRemovals {
    /// Logs that a blob's file could not be removed, unless the same was logged before.
    pub fn log_once(&self, digest: &Digest, error: &std::io::Error) {
        if !self.is_new(digest, error.to_string()) {
            return;
        }
        let remedy = "retried in every sweep, and logged again if the cause changes";
        tracing::warn!(%error, %digest, "cannot remove blob file: {remedy}");
    }

    fn is_new(&self, digest: &Digest, reason: String) -> bool {
        let mut logged = self.0.lock();
        if logged.len() >= CAPACITY && !logged.contains_key(digest) {
            return false;
        }
        let before = logged.insert(digest.clone(), reason);
        before.as_ref() != logged.get(digest)
    }

    /// Forgets a file that was removed or is needed again.
    pub fn forget(&self, digest: &Digest) {
        self.0.lock().remove(digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_failure_is_logged_once_up_to_a_limit() {
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
