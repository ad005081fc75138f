//! Errors of operations, in the protocol's terms.
//!
//! Callers render them: [`crate::http`] for clients, the command line for people.

use std::io;
use std::path::PathBuf;

use crate::blob::{Shortage, UploadId};
use crate::meta;
use crate::oci::{Digest, DigestError, ManifestError, RepositoryName, TagName};
use crate::registry::content::push::tag_changes::TagChanges;
use crate::registry::import::progress::ImportCounts;
use crate::registry::policy::quota::shown_size;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("repository {0} is not known to this registry")]
    NameUnknown(RepositoryName),
    #[error("repository {0} is this registry's own, and no cache of an upstream")]
    NoCache(RepositoryName),
    #[error("repository {0} is a cache of another registry: choose the name of one's own")]
    Cache(RepositoryName),
    #[error("manifest {reference} is not in repository {repository}{}", lacking(.needed_by))]
    ManifestUnknown {
        repository: RepositoryName,
        reference: String,
        /// Index there that names it.
        needed_by: Option<Digest>,
    },
    #[error("blob {digest} is not in repository {repository}{}", lacking(.needed_by))]
    BlobUnknown {
        repository: RepositoryName,
        digest: Digest,
        /// Manifest there that names it.
        needed_by: Option<Digest>,
    },
    #[error(
        "blob {digest} of repository {repository} is damaged, and not served until it is pushed again: {problem}"
    )]
    BlobDamaged {
        repository: RepositoryName,
        digest: Digest,
        problem: String,
    },
    #[error(
        "manifest {reference} of repository {repository} is damaged, and not served until it is pushed again: {problem}"
    )]
    ManifestDamaged {
        repository: RepositoryName,
        reference: String,
        digest: Digest,
        problem: String,
    },
    #[error("upload {0} is not open: it was finished, cancelled or has expired")]
    UploadUnknown(UploadId),
    #[error("another request is writing to upload {0}")]
    UploadBusy(UploadId),
    #[error("the chunk must start at byte {received}, where the upload ends so far")]
    ChunkOutOfOrder { received: u64 },
    #[error("the body has {received} bytes, but its headers announce {promised}")]
    SizeMismatch { promised: u64, received: u64 },
    #[error("the content has digest {actual}, not {expected}")]
    DigestMismatch { expected: Digest, actual: Digest },
    #[error(transparent)]
    Digest(#[from] DigestError),
    #[error(transparent)]
    ManifestInvalid(#[from] ManifestError),
    #[error("the manifest is larger than {limit} bytes")]
    ManifestTooLarge { limit: usize },
    #[error("the manifest names content that repository {repository} does not hold: push it first")]
    ReferencesUnknown {
        repository: RepositoryName,
        digests: Vec<Digest>,
    },
    #[error("what is stored does not meet If-Match or If-None-Match of the request")]
    PreconditionFailed,
    #[error("{digest} is needed by manifest {holder}: delete that one first")]
    InUse { digest: Digest, holder: Digest },
    #[error(
        "tag {tag} of {repository} is immutable, because the policy for '{policy}' protects '{pattern}': only the registry's owner \
         can lift that, by taking '{pattern}' out of policies[].immutable in its configuration"
    )]
    TagImmutable {
        repository: RepositoryName,
        tag: String,
        /// Globs of the policy.
        policy: String,
        pattern: String,
    },
    /// Change of a tag that access rules do not allow.
    #[error("you may not {denied} tag {tag} of {repository}")]
    TagDenied {
        repository: RepositoryName,
        tag: TagName,
        denied: TagChanges,
    },
    #[error(
        "quota of {name} exceeded: {} of {} used, and this needs {}",
        shown_size(*.used), shown_size(*.limit), shown_size(*.size)
    )]
    QuotaExceeded {
        /// Glob of the repositories that share it.
        name: String,
        /// In bytes, as the others.
        used: u64,
        limit: u64,
        size: u64,
    },
    #[error(
        "'{0}' cannot be the name of a token: write letters, digits, '.', '_' and '-', at most 64 and first a letter or digit"
    )]
    TokenName(String),
    #[error(
        "there is a token {0} already: give it another secret with registry token rotate {0}, or revoke it first"
    )]
    TokenExists(String),
    #[error("there is no token {0}: registry token ls lists them")]
    TokenUnknown(String),
    #[error("{0}")]
    NothingToRestore(String),
    #[error("deleting is switched off in this registry's configuration (storage.delete.enabled)")]
    DeleteDisabled,
    #[error(
        "the registry is read-only for maintenance (storage.maintenance.readonly in its configuration): pull now, push and delete later"
    )]
    ReadOnly,
    #[error("the manifest names the URL '{}', which this registry's configuration does not allow (validation.manifests.urls)", crate::redact::url(.0))]
    UrlRefused(String),
    #[error(
        "this registry does not accept content whose config is '{0}' (policy.repository.classes in its configuration)"
    )]
    ClassRefused(String),
    #[error("cannot receive the manifest: {0}")]
    ManifestBody(String),
    #[error("the body ended early: {0}")]
    Body(String),
    #[error("the registry's {0}: its owner must free space before anything can be changed")]
    StorageFull(Shortage),
    #[error(
        "the registry's disk has no free space beyond its reserve: its owner must free space before anything can be pushed"
    )]
    Reserve,
    #[error("the data directory {path} cannot be used: {cause}; {remedy}, or name another one with --data-dir", path = .path.display(), remedy = directory_remedy(.cause))]
    DataDirectory { path: PathBuf, cause: io::Error },
    #[error("blobs and uploads in the data directory {path} are on two file systems: put both of them, behind links too, on the same one", path = .0.display())]
    SplitDirectory(PathBuf),
    #[error("another server uses the data directory {path}, and its configuration has {sections}, which this one lacks: start this server with the same configuration, or stop the other one first; sections of its own count, even auth: none", path = .path.display())]
    SectionsMissing { path: PathBuf, sections: String },
    #[error("a backup to {path} is being made: try again when it is complete", path = .0.display())]
    BackedUpTo(PathBuf),
    #[error("there is no registry in {path}: name the server's data directory with --data-dir", path = .0.display())]
    NoRegistry(PathBuf),
    #[error("{path} holds blobs, but no database that names them: registry.db is missing or empty. Restore it from a backup, beside blobs/, or name the right directory with --data-dir; to begin empty all the same, move {path}/blobs away. Nothing was changed", path = .0.display())]
    DatabaseLost(PathBuf),
    #[error("{path}/registry.db lists blobs, and {path}/blobs is missing or empty: mount that, or restore it from a backup, beside registry.db (docs/backup.md), or name the right directory with --data-dir", path = .0.display())]
    BlobsLost(PathBuf),
    #[error("the registry is overloaded, try again later: {0}")]
    Overloaded(String),
    #[error("the registry is taking over the images of registry:2, try again later: {0}")]
    TakingOver(ImportCounts),
    #[error("cannot link a blob of registry:2 into the data directory: {cause}{remedy}", cause = .0, remedy = link_remedy(.0))]
    Link(io::Error),
    #[error(transparent)]
    Meta(meta::Error),
    #[error("{doing} failed: {cause}")]
    Files {
        doing: &'static str,
        cause: io::Error,
    },
    #[error("{0}")]
    Internal(String),
}

impl From<meta::Error> for Error {
    fn from(error: meta::Error) -> Self {
        match error {
            full if full.is_full() => Self::StorageFull(Shortage::Blocks),
            meta::Error::Exhausted(cause) => Self::Overloaded(cause),
            other => Self::Meta(other),
        }
    }
}

impl Error {
    /// True if the data directory or the database in it could not be opened.
    #[must_use]
    pub fn is_unopened(&self) -> bool {
        matches!(
            self,
            Self::DataDirectory { .. } | Self::Meta(meta::Error::Open { .. })
        )
    }

    /// True if there is no such repository, manifest or blob.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::NameUnknown(_) | Self::ManifestUnknown { .. } | Self::BlobUnknown { .. }
        )
    }

    /// True if a disk has no space for what is to be stored.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(
            self,
            Self::StorageFull(_) | Self::Reserve | Self::Meta(meta::Error::NoSpace { .. })
        )
    }

    /// Adds the failed action to a file system error; recognises a full disk.
    pub(in crate::registry) fn files(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |cause| match Shortage::of(&cause) {
            Some(shortage) => Self::StorageFull(shortage),
            None => Self::Files { doing, cause },
        }
    }
}

/// Says what helps against a directory that cannot be used.
fn directory_remedy(cause: &io::Error) -> &'static str {
    match Shortage::of(cause) {
        Some(_) => "free space on its disk",
        None => "it must belong to this user",
    }
}

/// Ends the sentence about content that an image lacks.
fn lacking(needed_by: &Option<Digest>) -> String {
    match needed_by {
        Some(image) => format!(", although {image} there names it: push that image again"),
        None => String::new(),
    }
}

/// Ends the sentence about a file that cannot be linked.
fn link_remedy(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::CrossesDevices => {
            "; its store must be on the same file system, and below the same mount, as registry.db"
        }
        io::ErrorKind::PermissionDenied => {
            "; run the server as the user that owns the files of registry:2, or as root, on a file system with hard links"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients and the log both show it.
    #[test]
    fn a_refused_url_is_named_without_its_password() {
        let said =
            Error::UrlRefused("https://ann:hunter2@example.com/layer".to_owned()).to_string();
        assert!(
            said.contains("example.com") && !said.contains("hunter2"),
            "{said}"
        );
    }
}
