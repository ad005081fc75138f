//! The number of connections that file descriptors allow.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// File descriptors reserved for the database, publishing of blobs and the system.
const SPARE_DESCRIPTORS: u64 = 128;

/// Raises the limit of file descriptors, and returns the number of connections that it allows: each may need one descriptor
/// for itself and one for a blob.
pub(super) fn connection_limit() -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    );
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let connections = (files.saturating_sub(SPARE_DESCRIPTORS) / 2).max(1);
    usize::try_from(connections).unwrap_or(usize::MAX)
}
