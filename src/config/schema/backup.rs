//! The section `backup`, which is ours.

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::schema::interval::Interval;

/// Backups that the server makes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backup {
    /// Directory that holds them; without it none are made.
    pub to: Option<PathBuf>,
    /// Time from one to the next.
    pub every: Option<Interval>,
    /// Number of backups to keep.
    pub keep: Option<usize>,
}
