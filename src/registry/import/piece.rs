//! Pieces of another registry's content, read and verified, ready to be recorded.

use bytes::Bytes;

use crate::blob::SourceFile;
use crate::meta::{Millis, NewManifest, RemovalId, TagSource};
use crate::oci::{Descriptor, Digest, Manifest, RepositoryName, TagName};
use crate::registry::content::push::manifest::{check_unambiguous, parse_manifest};
use crate::registry::content::push::parsing_space::check_outline;
use crate::registry::error::Error;

/// Content of one repository, recorded at once.
///
/// Pieces of a repository are recorded in the order of these variants: manifests find their blobs, and tags their manifests.
#[derive(Debug)]
pub enum ImportPiece {
    Blobs(RepositoryName, Vec<ImportedBlob>),
    /// Blobs that are stored here, and become visible in the repository.
    Stored(RepositoryName, Vec<Digest>),
    /// A blob whose content is known to be another than its digest says.
    Damaged(Digest),
    Manifests(RepositoryName, Vec<ImportedManifest>),
    Tags(RepositoryName, Vec<ImportedTag>),
    /// The end of a repository, for the progress.
    End,
}

/// A blob that a repository shows, in a file of the other registry.
#[derive(Clone, Debug)]
pub struct ImportedBlob {
    pub digest: Digest,
    pub source: SourceFile,
    /// Note that the file has a name here and goes if its row does not come.
    pub(super) note: Option<RemovalId>,
}

/// A manifest whose bytes have the right digest.
#[derive(Debug)]
pub struct ImportedManifest {
    pub(super) manifest: Manifest,
    pub(super) new: NewManifest,
    pub(super) pushed_at: Millis,
    /// True if an index needs it, which is recorded after it.
    pub is_child: bool,
}

/// A tag with the targets that it had before.
#[derive(Clone, Debug)]
pub struct ImportedTag {
    pub name: TagName,
    pub target: Digest,
    pub since: Millis,
    /// Former targets with the times from which on they were it, oldest first.
    pub former: Vec<(Digest, Millis)>,
    pub(super) source: TagSource,
    pub claim: TagClaim,
}

/// Claim of another registry's tag against what was done to it here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagClaim {
    /// It moves the tag until somebody changes it here.
    Follow,
    /// It moves even a tag that was changed here.
    Move,
    /// It sets only a tag that was never here.
    New,
}

impl ImportedTag {
    /// A tag that follows another registry, until somebody changes it here.
    pub fn following(
        name: TagName,
        target: Digest,
        since: Millis,
        former: Vec<(Digest, Millis)>,
    ) -> Self {
        Self {
            name,
            target,
            since,
            former,
            source: TagSource::Store,
            claim: TagClaim::Follow,
        }
    }

    /// A tag that is the other registry's, whatever was done to it here.
    pub fn mirrored(name: TagName, target: Digest, now: Millis) -> Self {
        Self {
            claim: TagClaim::Move,
            ..Self::following(name, target, now, Vec::new())
        }
    }

    /// A tag of a registry that is being adopted: from now on it is one's own.
    pub fn adopted(name: TagName, target: Digest, now: Millis) -> Self {
        Self {
            claim: TagClaim::New,
            ..Self::following(name, target, now, Vec::new())
        }
    }

    /// A tag of an archive or a layout.
    pub fn named(name: TagName, target: Digest, now: Millis) -> Self {
        Self {
            name,
            target,
            since: now,
            former: Vec::new(),
            source: TagSource::Archive,
            claim: TagClaim::Follow,
        }
    }
}

impl ImportedBlob {
    pub fn new(digest: Digest, source: SourceFile) -> Self {
        Self {
            digest,
            source,
            note: None,
        }
    }
}

impl ImportedManifest {
    /// Verifies and parses a manifest.
    ///
    /// # Errors
    /// [`Error::DigestMismatch`] and [`Error::ManifestInvalid`].
    pub fn parse(digest: Digest, bytes: Bytes, pushed_at: Millis) -> Result<Self, Error> {
        check_outline(&bytes)?;
        let (manifest, new) = parse_manifest(Some(digest), None, bytes)?;
        check_unambiguous(&manifest, &new.bytes)?;
        Ok(Self {
            manifest,
            new,
            pushed_at,
            is_child: false,
        })
    }

    pub fn digest(&self) -> &Digest {
        &self.new.digest
    }

    /// Size of the manifest itself, in bytes.
    pub fn size(&self) -> usize {
        self.new.bytes.len()
    }

    /// Returns what the manifest must find in its repository, children of an index included.
    pub fn required(&self) -> impl Iterator<Item = &Digest> {
        let required = self.manifest.references.iter();
        required
            .filter(|reference| !reference.is_optional)
            .map(|reference| &reference.digest)
    }

    /// Returns the children of an index.
    pub fn children(&self) -> impl Iterator<Item = &Digest> {
        let children = self.manifest.references.iter();
        children
            .filter(|reference| reference.is_child)
            .map(|reference| &reference.digest)
    }

    /// Returns the descriptors of the children of an index.
    pub fn child_descriptors(&self) -> &[Descriptor] {
        &self.manifest.children
    }

    pub fn subject(&self) -> Option<&Digest> {
        self.manifest.subject.as_ref()
    }

    /// Returns the descriptors of config, layers and children.
    pub fn descriptors(&self) -> impl Iterator<Item = &Descriptor> {
        let Manifest {
            config,
            layers,
            children,
            ..
        } = &self.manifest;
        config.iter().chain(layers).chain(children)
    }
}
