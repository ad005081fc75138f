//! A walk through one repository of a registry that is being adopted, as the receiver of what is read there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::import::damage::Damage;
use crate::import::error::Error;
use crate::import::importing::Importing;
use crate::import::receiver::{Arrived, Receiver};
use crate::import::remote::RemoteBlob;
use crate::import::trouble::Problems;
use crate::oci::{Digest, ManifestError, RepositoryName, TagName};
use crate::registry::{
    AdoptionItem, ImportPiece, ImportedBlob, ImportedTag, Present, Registry, TagClaim, TagFate,
    WalkedRepository, Wanted,
};

/// A walk through one repository.
pub(super) struct Walk<'w> {
    pub importing: &'w Importing,
    pub registry: &'w Registry,
    /// Tags there.
    tags: Mutex<BTreeSet<String>>,
    missing_bytes: AtomicU64,
    has_news: AtomicBool,
    pub problems: Problems,
}

impl<'w> Walk<'w> {
    pub fn new(importing: &'w Importing, registry: &'w Registry) -> Self {
        Self {
            importing,
            registry,
            tags: Mutex::default(),
            missing_bytes: AtomicU64::new(0),
            has_news: AtomicBool::new(false),
            problems: Problems::default(),
        }
    }

    /// Ends with what it has found.
    pub fn end(self, repository: &RepositoryName) -> Result<WalkedRepository, Error> {
        let tags = self.tags.into_inner();
        let known = tags.len() as u64;
        let wanted = self.registry.upstreams().wanted(repository, tags);
        let missing = self.importing.wait(wanted)?.tags;
        Ok(WalkedRepository {
            tags: known,
            missing_tags: missing.len() as u64,
            missing_bytes: self.missing_bytes.into_inner(),
            has_news: self.has_news.into_inner(),
            problems: self.problems.into_inner(),
        })
    }
}

impl Receiver for Walk<'_> {
    fn expect(&self, repositories: usize) {
        self.importing.expect(repositories);
    }

    fn present(&self, repository: &RepositoryName) -> Result<Present, Error> {
        self.importing.present(repository)
    }

    fn wanted(&self, repository: &RepositoryName, tags: BTreeSet<String>) -> Result<Wanted, Error> {
        self.tags.lock().clone_from(&tags);
        let upstreams = self.registry.upstreams();
        self.importing.wait(upstreams.wanted(repository, tags))
    }

    fn is_wanted(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, Error> {
        let item = AdoptionItem::Digest(digest);
        let upstreams = self.registry.upstreams();
        self.importing.wait(upstreams.may_adopt(repository, item))
    }

    /// Forgets the tags whose images were deleted here: they stay away as well.
    fn leave_out(
        &self,
        repository: &RepositoryName,
        tags: Vec<(TagName, Digest)>,
    ) -> Result<(), Error> {
        for (tag, digest) in tags {
            if !self.is_wanted(repository, &digest)? {
                let upstreams = self.registry.upstreams();
                self.importing.wait(upstreams.keep_away(repository, &tag))?;
            }
        }
        Ok(())
    }

    fn bring(
        &self,
        repository: &RepositoryName,
        blobs: Vec<ImportedBlob>,
    ) -> Result<Arrived, Error> {
        self.importing.bring(repository, blobs)
    }

    fn fetch(&self, repository: &RepositoryName, blobs: Vec<RemoteBlob>) -> Result<Arrived, Error> {
        let sizes: Vec<_> = blobs
            .iter()
            .map(|blob| (blob.digest.clone(), blob.size))
            .collect();
        let arrived = self.importing.fetch(repository, blobs)?;
        let failed = arrived.failed.iter().filter_map(|(digest, _)| {
            let (_, size) = sizes.iter().find(|(known, _)| known == digest)?;
            Some(*size)
        });
        self.missing_bytes
            .fetch_add(failed.sum(), Ordering::Relaxed);
        Ok(arrived)
    }

    fn stored_blob(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        self.importing.stored_blob(digest)
    }

    fn stored_manifest(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        self.importing.stored_manifest(digest)
    }

    fn refused_config(&self, digest: &Digest) -> Result<Option<ManifestError>, Error> {
        self.importing.refused_config(digest)
    }

    /// Sets only tags that were never here.
    fn judge(
        &self,
        repository: &RepositoryName,
        mut tags: Vec<ImportedTag>,
    ) -> Result<Vec<(ImportedTag, TagFate)>, Error> {
        tags.iter_mut().for_each(|tag| tag.claim = TagClaim::New);
        let mut judged = self.importing.judge(repository, tags)?;
        for (_, fate) in &mut judged {
            if *fate != TagFate::Set {
                *fate = TagFate::KeptHere;
            }
        }
        Ok(judged)
    }

    fn take(&self, pieces: Vec<ImportPiece>) -> Result<(), Error> {
        let (mut is_empty, mut has_news) = (true, false);
        for piece in &pieces {
            is_empty &= matches!(piece, ImportPiece::End);
            // a manifest with a gap comes again and again
            has_news |= match piece {
                ImportPiece::Stored(_, digests) => !digests.is_empty(),
                ImportPiece::Tags(_, tags) => !tags.is_empty(),
                _ => false,
            };
        }
        if is_empty {
            return Ok(());
        }
        self.has_news.fetch_or(has_news, Ordering::Relaxed);
        let actor = self.importing.actor.clone();
        self.importing
            .wait(self.registry.import().adopt(pieces, actor))
    }

    fn report(&self, path: &Path, damage: Damage) {
        self.problems
            .list(path, format!("{damage}: {}", damage.outcome()));
    }
}

/// Returns the place of a whole repository.
pub(super) fn place(url: &str, source: &RepositoryName) -> PathBuf {
    format!("{url}/{source}").into()
}
