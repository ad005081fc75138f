//! The receiver of an import beside a running server: what it records is durable, and served at once.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use futures_util::{StreamExt, stream};

use crate::import::archive::{Contents, ImageTransfer, Place, PlanSpool, RegistrySpool, Spool};
use crate::import::claims::Claims;
use crate::import::collisions::Collision;
use crate::import::damage::Damage;
use crate::import::distribution::collisions;
use crate::import::distribution::store::DistributionStore;
use crate::import::error::Error;
use crate::import::receiver::{Arrived, Receiver};
use crate::import::remote::{RemoteBlob, RemoteRegistry};
use crate::import::report::{Ledger, MovedTag};
use crate::import::selection::Selection;
use crate::import::waiter::Waiter;
use crate::oci::{Digest, ManifestError, RepositoryName};
use crate::registry::{
    self, Actor, Brought, ImportPiece, ImportedBlob, ImportedTag, Present, Registry,
    RepositorySource, TagClaim, TagFate, Unbrought, Way,
};

/// Number of threads: each waits for the disk most of the time, and all share its syncs.
const THREADS: usize = 16;
/// Number of blobs of one repository that are fetched from another registry, or asked for, at once.
const FETCHES: usize = 4;

/// The receiver of an import, or of the plan of one.
pub(super) struct Importing {
    pub registry: Option<Registry>,
    /// `None` only plans.
    pub way: Option<Way>,
    pub actor: Actor,
    pub ledger: Arc<Ledger>,
    pub claims: Claims,
    pub moves_tags: bool,
    /// URL of the registry that the content is a cache of; `None` for content of one's own.
    pub cached_from: Option<String>,
    pub waiter: Waiter,
}

impl Importing {
    pub fn read_store(
        &self,
        store: &DistributionStore,
        selection: &Selection,
    ) -> Result<(), Error> {
        let mut names = BTreeSet::new();
        let named = store.named(self, &mut |repository| {
            names.insert(repository.name.clone());
            selection.name(&repository.name).unwrap_or_else(|damage| {
                self.report(repository.path(), damage);
                None
            })
        })?;
        if self.is_free(collisions(&named)?) {
            store.read(self, THREADS, named)?;
        }
        self.ledger
            .set_unmatched(selection.unmatched(&names), names);
        Ok(())
    }

    pub fn read_registry(
        &self,
        other: &RemoteRegistry,
        selection: &Selection,
    ) -> Result<(), Error> {
        let (named, mut names) = other.named(self, selection, &self.waiter)?;
        if self.is_free(other.collisions(self, &named, &self.waiter)?) {
            names.extend(other.read(self, named, &self.waiter)?);
        }
        self.ledger
            .set_unmatched(selection.unmatched(&names), names);
        Ok(())
    }

    pub fn read_images(
        &self,
        contents: &dyn Contents,
        selection: &Selection,
        place: Option<&Place>,
    ) -> Result<(), Error> {
        let transfer = ImageTransfer {
            contents,
            receiver: self,
            selection,
            place,
            now: registry::now(),
        };
        let plan = transfer.plan()?;
        let names = plan.names().clone();
        if self.is_free(plan.collisions()) {
            transfer.run(&plan)?;
        }
        self.ledger
            .set_unmatched(selection.unmatched(&names), names);
        Ok(())
    }

    /// Records tags that would overwrite each other; reports whether there are none.
    fn is_free(&self, collisions: Vec<Collision>) -> bool {
        let is_free = collisions.is_empty();
        self.ledger.set_collisions(collisions);
        is_free
    }

    /// Returns the place where the content of a stream goes.
    pub fn spool(&self) -> Box<dyn Spool> {
        let spool = self.registry.clone().map(|registry| RegistrySpool {
            registry,
            actor: self.actor.clone(),
            runtime: self.waiter.handle().clone(),
        });
        match (spool, self.way) {
            (Some(spool), Some(_)) => Box::new(spool),
            (spool, _) => Box::new(PlanSpool::new(spool)),
        }
    }

    pub fn wait<T>(
        &self,
        work: impl Future<Output = Result<T, registry::Error>>,
    ) -> Result<T, Error> {
        Ok(self.waiter.wait(work)??)
    }

    fn bring_claimed(
        &self,
        repository: &RepositoryName,
        blobs: Vec<ImportedBlob>,
        arrived: &mut Arrived,
    ) -> Result<(), Error> {
        let shown = blobs.len();
        let count = |blobs: &[ImportedBlob], way: Way| {
            for blob in blobs {
                self.ledger.add_new(&blob.digest, blob.source.size, way);
            }
        };
        let (present, new) = match &self.registry {
            Some(registry) => self.wait(registry.import().split(blobs))?,
            None => (Vec::new(), blobs),
        };
        let (Some(registry), Some(way)) = (&self.registry, self.way) else {
            self.ledger.add_shown(repository, shown);
            for blob in &new {
                self.ledger
                    .add_planned(&blob.digest, blob.source.size, Way::Link);
            }
            return Ok(());
        };
        let bring = registry.import().bring(repository, new, way, &self.actor);
        let Brought {
            mut linked,
            copied,
            failed,
        } = self.wait(bring)?;
        self.ledger.add_shown(repository, shown - failed.len());
        count(&linked, Way::Link);
        count(&copied, Way::Copy);
        linked.extend(present);
        let copied = copied.into_iter().map(|blob| blob.digest).collect();
        arrived.pieces.extend([
            ImportPiece::Blobs(repository.clone(), linked),
            ImportPiece::Stored(repository.clone(), copied),
        ]);
        arrived.failed.extend(failed.into_iter().map(damage_of));
        Ok(())
    }

    /// Reports whether a stored blob may be shown once the other registry says that it has it: what is cached must have come from there.
    fn is_vouched_for(&self, digest: &Digest) -> Result<bool, Error> {
        match (&self.registry, &self.cached_from) {
            (Some(registry), Some(url)) => self.wait(registry.upstreams().have_sent(url, digest)),
            _ => Ok(true),
        }
    }

    /// Asks for blobs that are stored here, several at once; returns those that the other registry has.
    ///
    /// A registry cannot show content of others here by naming its digest.
    fn ask_about(
        &self,
        known: Vec<(RemoteBlob, u64)>,
        arrived: &mut Arrived,
    ) -> Result<Vec<Digest>, Error> {
        let asked = stream::iter(known).map(|(blob, size)| async move {
            let outcome = blob.ask(size).await;
            (blob.digest, outcome)
        });
        let asked = asked.buffer_unordered(FETCHES).collect::<Vec<_>>();
        let mut stored = Vec::new();
        for (digest, outcome) in self.waiter.wait(asked)? {
            match outcome? {
                None => stored.push(digest),
                Some(damage) => arrived.failed.push((digest, damage)),
            }
        }
        Ok(stored)
    }

    fn fetch_claimed(
        &self,
        repository: &RepositoryName,
        blobs: Vec<RemoteBlob>,
        arrived: &mut Arrived,
    ) -> Result<(), Error> {
        let (mut known, mut new) = (Vec::new(), Vec::new());
        for blob in blobs {
            match self.stored_blob(&blob.digest)? {
                Some(size) if self.is_vouched_for(&blob.digest)? => known.push((blob, size)),
                _ => new.push(blob),
            }
        }
        let mut stored = self.ask_about(known, arrived)?;
        let fetched = stream::iter(new).map(|blob| async {
            let outcome = match (&self.registry, self.way) {
                (Some(registry), Some(_)) => blob.store(registry, &self.actor).await,
                _ => Ok(None),
            };
            (blob, outcome)
        });
        let fetched = fetched.buffer_unordered(FETCHES).collect::<Vec<_>>();
        for (blob, outcome) in self.waiter.wait(fetched)? {
            match outcome? {
                Some(damage) => arrived.failed.push((blob.digest, damage)),
                None => {
                    if self.way.is_some() {
                        self.ledger.add_new(&blob.digest, blob.size, Way::Copy);
                    } else {
                        self.ledger.add_planned(&blob.digest, blob.size, Way::Copy);
                    }
                    stored.push(blob.digest);
                }
            }
        }
        self.ledger.add_shown(repository, stored.len());
        let piece = ImportPiece::Stored(repository.clone(), stored);
        arrived.pieces.push(piece);
        Ok(())
    }
}

impl Receiver for Importing {
    fn expect(&self, repositories: usize) {
        self.ledger.expect(repositories);
    }

    fn present(&self, repository: &RepositoryName) -> Result<Present, Error> {
        let Some(registry) = &self.registry else {
            return Ok(Present::default());
        };
        let present = self.wait(registry.import().present(repository))?;
        self.ledger.expect_manifests(repository, &present.damaged);
        Ok(present)
    }

    fn bring(
        &self,
        repository: &RepositoryName,
        blobs: Vec<ImportedBlob>,
    ) -> Result<Arrived, Error> {
        let mut arrived = Arrived::default();
        let mut rest = blobs;
        while !rest.is_empty() {
            let (claim, others) = self.claims.take(rest);
            self.bring_claimed(repository, claim.blobs.clone(), &mut arrived)?;
            drop(claim);
            rest = others;
        }
        Ok(arrived)
    }

    fn fetch(&self, repository: &RepositoryName, blobs: Vec<RemoteBlob>) -> Result<Arrived, Error> {
        let mut arrived = Arrived::default();
        let mut rest = blobs;
        while !rest.is_empty() {
            let (claim, others) = self.claims.take(rest);
            self.fetch_claimed(repository, claim.blobs.clone(), &mut arrived)?;
            drop(claim);
            rest = others;
        }
        Ok(arrived)
    }

    fn stored_blob(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        match (&self.registry, self.way) {
            (Some(registry), Some(_)) => self.wait(registry.import().keep(digest)),
            (Some(registry), None) => self.wait(registry.import().stored_size(digest)),
            (None, _) => Ok(None),
        }
    }

    fn stored_manifest(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        match &self.registry {
            Some(registry) => self.wait(registry.import().manifest_anywhere(digest)),
            None => Ok(None),
        }
    }

    fn refused_config(&self, digest: &Digest) -> Result<Option<ManifestError>, Error> {
        match &self.registry {
            Some(registry) => self.wait(registry.import().refused_config(digest)),
            None => Ok(None),
        }
    }

    fn count_stored(&self, repository: &RepositoryName, digest: &Digest, size: u64, is_new: bool) {
        self.ledger.add_shown(repository, 1);
        if is_new {
            self.ledger.add_new(digest, size, Way::Copy);
        }
    }

    fn count_returned(&self, digest: &Digest, size: u64) {
        self.ledger.add_returned(digest, size);
    }

    fn judge(
        &self,
        repository: &RepositoryName,
        mut tags: Vec<ImportedTag>,
    ) -> Result<Vec<(ImportedTag, TagFate)>, Error> {
        let Some(registry) = &self.registry else {
            return Ok(tags.into_iter().map(|tag| (tag, TagFate::Set)).collect());
        };
        if self.moves_tags {
            tags.iter_mut().for_each(|tag| tag.claim = TagClaim::Move);
        }
        let judged = self.wait(registry.import().tag_fates(repository, tags))?;
        for (tag, fate) in &judged {
            if let TagFate::Moved(was) = fate {
                self.ledger.add_moved(MovedTag {
                    repository: repository.clone(),
                    tag: tag.name.clone(),
                    was: was.clone(),
                    digest: tag.target.clone(),
                });
            }
        }
        Ok(judged)
    }

    fn take(&self, pieces: Vec<ImportPiece>) -> Result<(), Error> {
        self.ledger.add_pieces(&pieces);
        let is_empty = pieces.iter().all(|piece| matches!(piece, ImportPiece::End));
        match &self.registry {
            Some(registry) if self.way.is_some() && !is_empty => self.wait(
                registry
                    .import()
                    .record(pieces, RepositorySource::Own, self.actor.clone()),
            ),
            _ => Ok(()),
        }
    }

    fn report(&self, path: &Path, damage: Damage) {
        self.ledger.add_problem(path, damage);
    }
}

fn damage_of((digest, reason): (Digest, Unbrought)) -> (Digest, Damage) {
    let damage = match reason {
        Unbrought::Altered => Damage::AlteredBlob(digest.clone()),
        Unbrought::Unreadable(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Damage::MissingBlob(digest.clone())
        }
        Unbrought::Unreadable(error) => Damage::Unreadable(error.to_string()),
    };
    (digest, damage)
}
