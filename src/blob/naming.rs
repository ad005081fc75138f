//! Knowledge of the names in a store: which are durable, and whether a file can have two.

use std::collections::BTreeSet;
use std::path::PathBuf;

/// Possibility of a second name in `blobs/` for a file in `uploads/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HardLinks {
    Possible,
    /// The file system does not know them.
    Impossible,
    /// The two directories are on two file systems.
    OtherDisk,
}

/// Directories below `blobs/` whose entries are not known to be durable.
#[derive(Default)]
pub(super) struct Names {
    /// Directories that got a new entry since the last sync that succeeded.
    pub(super) unsynced: BTreeSet<PathBuf>,
    /// Uploads lost their own names since then.
    pub(super) has_moved_uploads: bool,
    /// Shards whose own names this process has made durable. A shard that exists need not be: another process, or a
    /// change that failed, may have created it without syncing its parent.
    pub(super) durable_shards: BTreeSet<PathBuf>,
    /// Directories that lost an entry since the last sync that succeeded.
    pub(super) removed: BTreeSet<PathBuf>,
}
