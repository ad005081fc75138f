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

/// Some repositories, or all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryScope(Option<String>);

impl RepositoryScope {
    /// All of them, and what belongs to none.
    pub const ALL: Self = Self(None);

    /// These repositories only.
    pub fn of(repositories: &[RepositoryId]) -> Self {
        let ids: Vec<_> = repositories.iter().map(|id| id.0).collect();
        Self(Some(serde_json::json!(ids).to_string()))
    }

    /// A text that no other scope has.
    pub fn as_str(&self) -> &str {
        self.ids().unwrap_or("all")
    }

    /// The numbers of its repositories, as a JSON array; `None` for all.
    pub(super) fn ids(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// The number of a file's removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RemovalId(pub(super) i64);

impl ManifestId {
    /// The number itself, as a position among manifests.
    pub fn number(self) -> i64 {
        self.0
    }
}

impl BlobId {
    /// The number itself, as a position among blobs.
    pub fn number(self) -> i64 {
        self.0
    }
}

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
