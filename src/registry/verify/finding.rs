//! Results of a verification.

use crate::meta::WithdrawnFrom;
use crate::oci::Digest;

/// Treatment of damaged blobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// They are not served any more, until somebody pushes them again.
    Withdraw,
    ReportOnly,
}

/// Kind of something damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// The structure of the database file.
    Database,
    /// A count that the database keeps.
    Count,
    Manifest,
    Blob,
}

/// An image that is affected by damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AffectedImage {
    pub repository: String,
    /// Digest of its manifest.
    pub digest: Digest,
    /// In byte order.
    pub tags: Vec<String>,
}

/// Something damaged.
#[derive(Clone, Debug)]
pub struct Finding {
    pub kind: FindingKind,
    pub digest: Option<Digest>,
    /// One sentence.
    pub problem: String,
    pub images: Vec<AffectedImage>,
}

/// Result of a verification.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// Blobs that were read.
    pub blobs: u64,
    /// Size of those blobs, in bytes.
    pub size: u64,
    /// Manifests that were read.
    pub manifests: u64,
    pub findings: Vec<Finding>,
}

impl FindingKind {
    /// One word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Count => "count",
            Self::Manifest => "manifest",
            Self::Blob => "blob",
        }
    }
}

impl From<WithdrawnFrom> for AffectedImage {
    fn from(from: WithdrawnFrom) -> Self {
        Self {
            repository: from.repository,
            digest: from.manifest,
            tags: from.tags,
        }
    }
}
