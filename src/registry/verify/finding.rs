//! Results of a verification.

use crate::meta::AffectedImage;
use crate::oci::Digest;

/// Treatment of what is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    ReportOnly,
    /// It is not served any more, until somebody pushes it again.
    Withdraw,
    /// As [`Self::Withdraw`]; counts and references are recorded anew, and files without a row are left to collection.
    Repair,
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
    /// An image that names content which is not stored: no damage, and it cannot be pulled as a whole.
    Incomplete,
}

/// Fate of something damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing.
    Reported,
    /// It is not served until it is pushed again.
    Withdrawn,
    Repaired,
}

/// Something damaged.
#[derive(Clone, Debug)]
pub struct Finding {
    pub kind: FindingKind,
    pub digest: Option<Digest>,
    /// One sentence.
    pub problem: String,
    pub outcome: Outcome,
    /// Images that need it; the first 10,000.
    pub images: Vec<AffectedImage>,
    /// Number of all images that need it.
    pub image_count: u64,
}

/// Result of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Blobs that were read.
    pub blobs: u64,
    /// Size of those blobs, in bytes.
    pub size: u64,
    /// Manifests that were read.
    pub manifests: u64,
    /// Number of findings, without incomplete images.
    pub damaged: u64,
    /// Images that name content which is not stored.
    pub incomplete: u64,
    /// Files of blobs that the database does not know. They do no harm.
    pub unknown_files: u64,
    /// Size of those files, in bytes.
    pub unknown_size: u64,
    /// Files, links and directories below `blobs/` that are no blobs, the first 1,000. They do no harm.
    pub foreign_files: Vec<String>,
}

/// Progress of a verification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyProgress {
    /// Blobs that were read, and those that are to be read.
    pub blobs: u64,
    pub all_blobs: u64,
    /// Their sizes, in bytes.
    pub size: u64,
    pub all_size: u64,
    /// Number of findings.
    pub damaged: u64,
}

impl FindingKind {
    /// One word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Count => "count",
            Self::Manifest => "manifest",
            Self::Blob => "blob",
            Self::Incomplete => "incomplete",
        }
    }
}

impl Outcome {
    /// One word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Withdrawn => "withdrawn",
            Self::Repaired => "repaired",
        }
    }
}

impl Finding {
    /// A finding that affects no particular image.
    pub(super) fn of_database(kind: FindingKind, problem: String, outcome: Outcome) -> Self {
        Self {
            kind,
            digest: None,
            problem,
            outcome,
            images: Vec::new(),
            image_count: 0,
        }
    }

    /// Names of the images: their tags, or else their digests.
    pub fn image_names(&self) -> impl Iterator<Item = String> {
        self.images.iter().flat_map(image_names)
    }
}

/// Names of an image: its tags, or else its digest.
pub(in crate::registry) fn image_names(image: &AffectedImage) -> Vec<String> {
    let repository = &image.repository;
    match &image.tags[..] {
        [] => vec![format!("{repository}@{}", image.digest)],
        tags => {
            let names = tags.iter().map(|tag| format!("{repository}:{tag}"));
            names.collect()
        }
    }
}
