//! A walk through one repository of an upstream, as the receiver of what a rule names ahead of clients.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::import::damage::Damage;
use crate::import::error::Error;
use crate::import::importing::Importing;
use crate::import::receiver::{Arrived, Receiver};
use crate::import::remote::RemoteBlob;
use crate::import::trouble::Problems;
use crate::import::walked::WalkedRegistry;
use crate::oci::{Descriptor, Digest, ManifestError, RepositoryName};
use crate::registry::{
    ImportPiece, ImportedBlob, ImportedTag, ManifestReference, Present, RepositorySource, SyncRule,
    TagClaim, TagFate, Wanted, is_signature,
};

/// Part of the upstream's quota that is left to clients: one in so many requests.
const RESERVED: u64 = 4;

/// A walk through one repository.
pub(super) struct SyncWalk<'w> {
    pub importing: &'w Importing,
    pub walked: &'w WalkedRegistry,
    pub rule: &'w SyncRule,
    pub seen: Mutex<Seen>,
    pub problems: Problems,
    /// Tags whose images are here.
    pub settled: AtomicU64,
}

/// Findings of a walk.
#[derive(Default)]
pub(super) struct Seen {
    /// All tags there.
    pub listed: BTreeSet<String>,
    /// Number of those that the rule names.
    pub named: u64,
}

impl<'w> SyncWalk<'w> {
    pub fn new(importing: &'w Importing, walked: &'w WalkedRegistry, rule: &'w SyncRule) -> Self {
        Self {
            importing,
            walked,
            rule,
            seen: Mutex::default(),
            problems: Problems::default(),
            settled: AtomicU64::new(0),
        }
    }

    /// Leaves the last part of the upstream's quota to clients.
    fn check_quota(&self) -> Result<(), Error> {
        let quota = self.walked.upstream.quota();
        let known = quota.and_then(|quota| Some((quota.remaining?, quota.limit?)));
        match known {
            Some((remaining, limit)) if remaining <= limit / RESERVED => Err(Error::Reserved {
                url: self.walked.url.clone(),
                remaining,
                limit,
            }),
            _ => Ok(()),
        }
    }
}

impl Receiver for SyncWalk<'_> {
    fn expect(&self, repositories: usize) {
        self.importing.expect(repositories);
    }

    fn present(&self, repository: &RepositoryName) -> Result<Present, Error> {
        self.importing.present(repository)
    }

    fn wanted(
        &self,
        _repository: &RepositoryName,
        tags: BTreeSet<String>,
    ) -> Result<Wanted, Error> {
        let mut seen = self.seen.lock();
        seen.listed.clone_from(&tags);
        let named: BTreeSet<_> = tags
            .into_iter()
            .filter(|tag| self.rule.names_tag(tag))
            .collect();
        seen.named = named.len() as u64;
        Ok(Wanted {
            tags: named,
            roots: HashSet::new(),
        })
    }

    /// Finds a manifest here, which costs nothing of the upstream's quota.
    fn known_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Bytes>, Error> {
        let reference = ManifestReference::Digest(digest.clone());
        let manifests = self.walked.registry.manifests();
        let finding = manifests.get(repository, &reference);
        // what is damaged here comes again
        if let Ok(found) = self.importing.waiter.wait(finding)? {
            return Ok(Some(found.bytes.clone()));
        }
        self.check_quota()?;
        Ok(None)
    }

    fn wants_child(&self, child: &Digest, children: &[Descriptor]) -> bool {
        self.rule.wants_child(child, children)
    }

    /// Returns the tags by which cosign signs these manifests.
    fn companions(&self, manifests: &HashSet<Digest>) -> BTreeSet<String> {
        let seen = self.seen.lock();
        let is_about = |tag: &&String| {
            let digest = tag.split('.').next().map(|name| name.replacen('-', ":", 1));
            let digest = digest.and_then(|digest| Digest::parse(&digest).ok());
            is_signature(tag)
                && !self.rule.names_tag(tag)
                && digest.is_some_and(|digest| manifests.contains(&digest))
        };
        seen.listed.iter().filter(is_about).cloned().collect()
    }

    fn bring(
        &self,
        repository: &RepositoryName,
        blobs: Vec<ImportedBlob>,
    ) -> Result<Arrived, Error> {
        self.importing.bring(repository, blobs)
    }

    fn fetch(&self, repository: &RepositoryName, blobs: Vec<RemoteBlob>) -> Result<Arrived, Error> {
        self.importing.fetch(repository, blobs)
    }

    fn refused_config(&self, digest: &Digest) -> Result<Option<ManifestError>, Error> {
        self.importing.refused_config(digest)
    }

    /// Has the tags follow the upstream's, whatever was done to them here.
    fn judge(
        &self,
        repository: &RepositoryName,
        mut tags: Vec<ImportedTag>,
    ) -> Result<Vec<(ImportedTag, TagFate)>, Error> {
        let named = tags
            .iter()
            .filter(|tag| self.rule.names_tag(tag.name.as_str()));
        self.settled
            .fetch_add(named.count() as u64, Ordering::Relaxed);
        tags.iter_mut().for_each(|tag| tag.claim = TagClaim::Move);
        self.importing.judge(repository, tags)
    }

    fn take(&self, pieces: Vec<ImportPiece>) -> Result<(), Error> {
        if pieces.iter().all(|piece| matches!(piece, ImportPiece::End)) {
            return Ok(());
        }
        let source = RepositorySource::Upstream(self.walked.url.as_str().into());
        let actor = self.importing.actor.clone();
        let import = self.walked.registry.import();
        self.importing.wait(import.record(pieces, source, actor))
    }

    fn report(&self, path: &Path, damage: Damage) {
        self.problems
            .list(path, format!("{damage}: {}", damage.outcome()));
    }
}
