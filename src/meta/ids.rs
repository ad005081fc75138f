//! Numbers of rows and positions in lists, opaque outside of this module.
//!
//! A row's number may be given to another row once the row is deleted: whoever keeps one for longer than a transaction
//! compares the digest or the time as well.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use super::clock::Millis;

/// The number of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryId(pub(super) i64);

/// The number of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ManifestId(pub(super) i64);

/// The number of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobId(pub(super) i64);

/// The number of a file's removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RemovalId(pub(super) i64);

/// The key of a link: a repository and a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkId {
    pub(super) repository: RepositoryId,
    pub(super) blob: BlobId,
}

/// A position in a list ordered by time and then by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) time: Millis,
    pub(super) number: i64,
    /// For rows that have two numbers.
    pub(super) second: i64,
}

impl Cursor {
    /// The position before the first row.
    pub const START: Self = Self::after(Millis::MIN, 0);

    /// The position after the row of that time and number.
    pub(super) const fn after(time: Millis, number: i64) -> Self {
        Self {
            time,
            number,
            second: 0,
        }
    }
}

/// A position in a tag's history, which is read from the newest state to the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryCursor(pub(super) i64);

impl HistoryCursor {
    /// The position before the current state.
    pub const NEWEST: Self = Self(i64::MAX);
}

impl fmt::Display for HistoryCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for HistoryCursor {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
