//! Settings of the backups that a server makes.

use std::path::PathBuf;
use std::time::Duration;

/// Backups that a server makes by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupSettings {
    /// Directory that holds them.
    pub to: PathBuf,
    /// Time from one to the next.
    pub every: Duration,
    /// Number of backups to keep.
    pub keep: usize,
}

impl BackupSettings {
    /// Time between two backups unless another one is set.
    pub const EVERY: Duration = Duration::from_secs(24 * 3600);
    /// Number of backups to keep unless another one is set.
    pub const KEEP: usize = 7;
}
