//! Collection of deleted content before its time, on request.
//!
//! It takes what is there only because something was deleted, and what undoes that: manifests in the trash, manifests
//! whose last tag, index or subject was deleted, and blobs that no manifest needs since. What was pushed, and blobs that
//! a client was told of, are not taken: their lease goes on. The database knows what a client was told since the deletion,
//! and the server which pushes count on what it told them before.
//!
//! Each removal is judged inside the change that makes it, as in a sweep. What is deleted while this runs may stay.

use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use crate::meta::{Actor, IdleManifest, Millis, Reader, RepositoryId, WriteTx, now};
use crate::oci::Glob;
use crate::registry::error::Error;
use crate::registry::gc::run::SweepRun;
use crate::registry::gc::sweep_counts::SweepCounts;

/// Maximum number of candidates read at once.
const BATCH: usize = 500;
/// Maximum depth of nested indexes collected at once.
const DEPTH: usize = 32;

/// Deleted content that goes at once, and can no longer be restored.
#[derive(Clone, Debug)]
pub struct DeletedContent {
    /// Repositories that are meant; all if absent.
    pub repositories: Option<Vec<Glob>>,
    /// Ender of its undo.
    pub actor: Actor,
}

/// A repository as it was listed; its number may have been given to another one since.
#[derive(Clone, Debug)]
pub(super) struct ListedRepository {
    pub id: RepositoryId,
    pub name: String,
}

impl DeletedContent {
    /// Reports whether the repository is meant.
    pub(in crate::registry) fn includes(&self, repository: &str) -> bool {
        self.repositories
            .as_ref()
            .is_none_or(|globs| globs.iter().any(|glob| glob.matches(repository)))
    }
}

impl SweepRun<'_> {
    /// Removes deleted content, but for blobs' rows and files, which the rest of the sweep removes.
    pub(super) async fn deleted(&mut self, content: &DeletedContent) -> Result<(), Error> {
        loop {
            let tags = self.progress.swept.tags;
            let begun = self.moment().await?;
            let repositories = self.listed(content).await?;
            for repository in &repositories {
                self.released_manifests(repository.id, &content.actor)
                    .await?;
            }
            let until = self.moment().await?;
            self.gather_promises(until).await?;
            for repository in &repositories {
                self.empty_trash(Some(repository), until, Some(&content.actor))
                    .await?;
                self.released_links(repository.id, until).await?;
            }
            if content.repositories.is_none() {
                // taken out of their repositories by hand; no trash of before needs them any more
                self.unlinked_blobs(begun).await?;
            }
            // repeated where signatures lost their tags
            if self.progress.swept.tags == tags {
                return Ok(());
            }
        }
    }

    /// Lists the repositories that are meant and have deleted content.
    async fn listed(&mut self, content: &DeletedContent) -> Result<Vec<ListedRepository>, Error> {
        let all = self
            .registry
            .scan(|meta| meta.repositories_with_deletions())
            .await?;
        let meant = all.into_iter().filter(|(_, name)| content.includes(name));
        Ok(meant
            .map(|(id, name)| ListedRepository { id, name })
            .collect())
    }

    /// Returns a time that separates deletions: those committed so far are not later, all others are.
    ///
    /// What a later deletion released is thus told from what an earlier one did, and its undo stays whole.
    async fn moment(&mut self) -> Result<Millis, Error> {
        self.write(|_| {
            let moment = now();
            while now() <= moment {
                // no other change can begin meanwhile
                sleep(Duration::from_micros(100));
            }
            Ok(moment)
        })
        .await
    }

    /// Moves released manifests to the trash, with the children that they release.
    async fn released_manifests(
        &mut self,
        repository: RepositoryId,
        actor: &Actor,
    ) -> Result<(), Error> {
        let (sweep, actor) = (Arc::clone(&self.sweep), actor.clone());
        let remove = move |tx: &WriteTx<'_>, found: &IdleManifest| {
            // checked again: it may be needed or promised by now
            let released = tx.idle_manifest(found.id)?.filter(|manifest| {
                manifest.digest == found.digest
                    && manifest.repository == found.repository
                    && sweep.retention.is_deleted(manifest)
            });
            match released {
                Some(manifest) if !tx.has_tagged_subject(manifest.id)? => {
                    tx.delete_manifest(manifest.id, &actor, now())?;
                    Ok(SweepCounts {
                        manifests: 1,
                        ..SweepCounts::default()
                    })
                }
                _ => Ok(SweepCounts::default()),
            }
        };
        for _ in 0..DEPTH {
            let before = self.progress.swept.manifests;
            let list =
                move |meta: &Reader<'_>, after| meta.released_manifests(repository, after, BATCH);
            self.for_each_due(list, remove.clone()).await?;
            if self.progress.swept.manifests == before {
                break;
            }
        }
        Ok(())
    }

    async fn released_links(
        &mut self,
        repository: RepositoryId,
        until: Millis,
    ) -> Result<(), Error> {
        let list =
            move |meta: &Reader<'_>, after| meta.released_links(repository, until, after, BATCH);
        self.for_each_due(list, move |tx, link| {
            Ok(SweepCounts {
                links: u64::from(tx.delete_released_link(link, until)?),
                ..SweepCounts::default()
            })
        })
        .await
    }

    async fn unlinked_blobs(&mut self, until: Millis) -> Result<(), Error> {
        let list = move |meta: &Reader<'_>, after| meta.idle_blobs(until, after, BATCH);
        self.for_each_due(list, move |tx, blob| {
            Ok(SweepCounts {
                blobs: u64::from(tx.delete_idle_blob(blob, until)?),
                ..SweepCounts::default()
            })
        })
        .await
    }
}
