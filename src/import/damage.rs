//! Damage found in another registry's store.

use crate::oci::Digest;
use crate::upstream;

/// A piece that is not taken over, or not as it is, and the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("the link is empty")]
    EmptyLink,
    #[error("the link is empty, but its path names its content, which is taken over")]
    MendedLink,
    #[error("the link does not hold a digest")]
    MalformedLink,
    #[error("the tag has no target")]
    NoTarget,
    #[error("the tag's manifest {0} is not in the repository, or was left out itself")]
    DanglingTag(Digest),
    #[error("the blob {0} is missing")]
    MissingBlob(Digest),
    #[error("the blob {0} is not the content that its digest says")]
    AlteredBlob(Digest),
    #[error("the manifest is empty")]
    EmptyManifest,
    #[error("the manifest has {0} bytes, more than this registry accepts")]
    LargeManifest(u64),
    #[error("the manifest has digest {0}, not the one that names it")]
    AlteredManifest(Digest),
    #[error("Docker's manifest schema 1 is not supported by this registry")]
    Schema1,
    #[error("the manifest is not accepted: {0}")]
    InvalidManifest(String),
    #[error("its config {0} is not accepted: {1}")]
    InvalidConfig(Digest, String),
    #[error("the manifest names {0}, which the repository does not hold: an image with a gap")]
    Gap(Digest),
    #[error("this registry accepts no such name: {0}")]
    Name(String),
    #[error(
        "the image has no repository's name: name one, as in registry import SOURCE REPOSITORY"
    )]
    Unnamed,
    #[error("the archive has no such file")]
    MissingFile,
    #[error("the tag was changed here, and in the source as well; --move-tags moves it")]
    ChangedOnBothSides,
    #[error("the tag was pushed here, and points at another image; --move-tags moves it")]
    PushedHere,
    #[error("{0}")]
    Immutable(String),
    #[error("it belongs to no store of registry:2")]
    Foreign,
    #[error("it is a symbolic link, which is not followed")]
    Symlink,
    #[error("{0}")]
    Upstream(upstream::Error),
    #[error(
        "it may not be read by this user: import as the user that owns the files of the source, or as root"
    )]
    Denied,
    #[error("it cannot be read: {0}")]
    Unreadable(String),
}

impl Damage {
    /// Says what becomes of the piece.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::MendedLink => "imported",
            Self::Gap(_) => "imported without it",
            Self::ChangedOnBothSides | Self::PushedHere | Self::Immutable(_) => {
                "stays as it is here"
            }
            _ => "left out",
        }
    }
}
