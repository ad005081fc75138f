//! An import beside a running server: what is recorded is durable and served at once.
//!
//! It is repeated from the beginning after whatever interrupted it. What is here already is not read again.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;

use crate::import::damage::Damage;
use crate::import::distribution::store::DistributionStore;
use crate::import::error::Error;
use crate::import::receiver::{Arrived, Receiver};
use crate::import::report::{ImportState, Ledger, Report};
use crate::import::selection::Selection;
use crate::oci::{Digest, RepositoryName};
use crate::registry::{
    self, Actor, Brought, ImportPiece, ImportedBlob, ImportedTag, Present, Registry, TagFate,
    Unbrought, Way,
};
use crate::threads::blocking;

/// Number of threads: each waits for the disk most of the time, and all share its syncs.
const THREADS: usize = 16;

/// An import, or the plan of one.
pub struct Importer {
    pub selection: Selection,
    /// The way of blobs' files; `None` only plans.
    pub way: Option<Way>,
    pub actor: Actor,
    /// The registry here; a plan needs none.
    registry: Option<Registry>,
    ledger: Arc<Ledger>,
}

impl Importer {
    /// Plans an import into a registry that may not exist yet.
    pub fn plan(registry: Option<Registry>, selection: Selection, actor: Actor) -> Self {
        Self {
            selection,
            way: None,
            actor,
            registry,
            ledger: Arc::default(),
        }
    }

    /// Imports into a registry.
    pub fn new(registry: Registry, selection: Selection, way: Way, actor: Actor) -> Self {
        Self {
            way: Some(way),
            ..Self::plan(Some(registry), selection, actor)
        }
    }

    /// Returns how far it is.
    pub fn state(&self) -> ImportState {
        self.ledger.state()
    }

    /// Imports a store of `registry:2`, or plans that.
    pub async fn run(&self, store: DistributionStore) -> Result<(), Error> {
        let receiver = Importing {
            registry: self.registry.clone(),
            way: self.way,
            actor: self.actor.clone(),
            ledger: Arc::clone(&self.ledger),
            claims: Claims::default(),
            runtime: Handle::current(),
        };
        let selection = self.selection.clone();
        let reading = blocking::run(move || {
            store.read(&receiver, THREADS, &mut |repository| {
                selection.name(&repository.name).unwrap_or_else(|damage| {
                    receiver.report(repository.path(), damage);
                    None
                })
            })
        });
        reading
            .await
            .map_err(|error| registry::Error::Internal(error.to_string()))?
    }

    /// Ends with the report.
    pub fn finish(self) -> Report {
        self.ledger.report()
    }
}

/// The receiver of an import, or of the plan of one.
struct Importing {
    registry: Option<Registry>,
    /// `None` only plans.
    way: Option<Way>,
    actor: Actor,
    ledger: Arc<Ledger>,
    claims: Claims,
    runtime: Handle,
}

impl Importing {
    fn wait<T>(&self, work: impl Future<Output = Result<T, registry::Error>>) -> Result<T, Error> {
        Ok(self.runtime.block_on(work)?)
    }

    fn bring_claimed(
        &self,
        repository: &RepositoryName,
        blobs: Vec<ImportedBlob>,
        arrived: &mut Arrived,
    ) -> Result<(), Error> {
        let shown = blobs.len();
        let Some(registry) = &self.registry else {
            self.ledger.add_blobs(repository, shown, &blobs, &[]);
            return Ok(());
        };
        let (present, new) = self.wait(registry.import().split(blobs))?;
        let Some(way) = self.way else {
            self.ledger.add_blobs(repository, shown, &new, &[]);
            return Ok(());
        };
        let bring = registry.import().bring(repository, new, way, &self.actor);
        let Brought {
            mut linked,
            copied,
            failed,
        } = self.wait(bring)?;
        let shown = shown - failed.len();
        self.ledger.add_blobs(repository, shown, &linked, &copied);
        linked.extend(present);
        let copied = copied.into_iter().map(|blob| blob.digest).collect();
        arrived.pieces.extend([
            ImportPiece::Blobs(repository.clone(), linked),
            ImportPiece::Stored(repository.clone(), copied),
        ]);
        arrived.failed.extend(failed.into_iter().map(damage_of));
        Ok(())
    }
}

/// Blobs that threads are bringing, so that none is copied twice.
#[derive(Default)]
struct Claims {
    digests: Mutex<HashSet<Digest>>,
    freed: Condvar,
}

/// Blobs that a thread brings, until this is dropped.
struct Claim<'c> {
    claims: &'c Claims,
    blobs: Vec<ImportedBlob>,
}

impl Claims {
    /// Claims those blobs that no other thread brings, at least one, and returns the rest.
    fn take(&self, blobs: Vec<ImportedBlob>) -> (Claim<'_>, Vec<ImportedBlob>) {
        let mut digests = self.digests.lock();
        while blobs.iter().all(|blob| digests.contains(&blob.digest)) {
            self.freed.wait(&mut digests);
        }
        let (blobs, rest) = blobs
            .into_iter()
            .partition(|blob| digests.insert(blob.digest.clone()));
        let claims = self;
        (Claim { claims, blobs }, rest)
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut digests = self.claims.digests.lock();
        for blob in &self.blobs {
            digests.remove(&blob.digest);
        }
        self.claims.freed.notify_all();
    }
}

impl Receiver for Importing {
    fn expect(&self, repositories: usize) {
        self.ledger.expect(repositories);
    }

    fn present(&self, repository: &RepositoryName) -> Result<Present, Error> {
        match &self.registry {
            Some(registry) => self.wait(registry.import().present(repository)),
            None => Ok(Present::default()),
        }
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

    fn judge(
        &self,
        repository: &RepositoryName,
        tags: Vec<ImportedTag>,
    ) -> Result<Vec<(ImportedTag, TagFate)>, Error> {
        match &self.registry {
            Some(registry) => self.wait(registry.import().tag_fates(repository, tags)),
            None => Ok(tags.into_iter().map(|tag| (tag, TagFate::Set)).collect()),
        }
    }

    fn take(&self, pieces: Vec<ImportPiece>) -> Result<(), Error> {
        self.ledger.add_pieces(&pieces);
        let is_empty = pieces.iter().all(|piece| matches!(piece, ImportPiece::End));
        match &self.registry {
            Some(registry) if self.way.is_some() && !is_empty => {
                self.wait(registry.import().record(pieces, self.actor.clone()))
            }
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
