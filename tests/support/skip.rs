//! Announcing skipped tests.

use std::io::Write;

/// Announces a skipped test on standard error, past the capture of output.
pub fn announce_skipped(what: &str, reason: &str) {
    let _ = writeln!(std::io::stderr(), "skipped {what}: {reason}");
}
