//! Forecast of the collection of deleted content: what it frees, and what can no longer be restored.

use std::time::Duration;

use crate::meta::{self, Cursor, Millis, Reader, RepositoryId, now};
use crate::oci::{Digest, RepositoryName};
use crate::registry::error::Error;
use crate::registry::facades::Reports;
use crate::registry::gc::deleted::DeletedContent;
use crate::registry::policy::retention::Retention;
use crate::registry::report::losses::Going;
use crate::registry::report::removal::{RemovalTotals, WaitCause};
use crate::registry::report::simulation::Simulation;

/// Maximum number of candidates read at once.
const BATCH: usize = 1000;

/// Effect of the collection of deleted content.
#[derive(Clone, Debug, Default)]
pub struct DeletedForecast {
    /// Repositories, each with the number of its manifests that can no longer be restored.
    pub repositories: Vec<(String, u64)>,
    /// Those manifests, without the children of untagged indexes.
    pub items: Vec<EndingUndo>,
    pub removals: RemovalTotals,
}

/// A manifest that can no longer be restored.
#[derive(Clone, Debug)]
pub struct EndingUndo {
    pub repository: String,
    pub digest: Digest,
    /// Bytes of the manifest and of the blobs that it names.
    pub size: u64,
    /// Tags that it had.
    pub tags: Vec<String>,
    /// True if it lost its last tag, index or subject by a deletion, and was not deleted itself.
    pub is_untagged: bool,
}

impl DeletedForecast {
    /// Number of manifests that can no longer be restored.
    pub fn undo_ended(&self) -> u64 {
        self.repositories
            .iter()
            .map(|(_, manifests)| manifests)
            .sum()
    }
}

impl Reports<'_> {
    /// Forecasts [`Gc::collect_deleted`](crate::registry::Gc::collect_deleted) with these retention rules.
    pub async fn forecast_deleted(
        self,
        content: DeletedContent,
        retention: &Retention,
    ) -> Result<DeletedForecast, Error> {
        // nothing waits for a hold period
        let retention = Retention {
            lease: Duration::ZERO,
            grace: Duration::ZERO,
            ..retention.clone()
        };
        self.registry
            .scan(move |meta| {
                let now = now();
                let mut simulation = Simulation::new(meta, &retention, None);
                let mut forecast = DeletedForecast::default();
                for (id, name) in meta.repositories_with_deletions()? {
                    if !content.includes(&name) {
                        continue;
                    }
                    let before = simulation.losses.gone.len();
                    let released = manifests(&mut simulation, id, &retention, now)?;
                    let untagged = simulation.losses.gone.len() - before;
                    links(&mut simulation, id, now)?;
                    let manifests = untagged as u64 + meta.count_trash(id)?;
                    items(meta, &name, released, &mut forecast.items)?;
                    forecast.repositories.push((name, manifests));
                }
                if content.repositories.is_none() {
                    simulation.blobs()?;
                }
                forecast.removals = RemovalTotals::of(simulation.removals.iter());
                Ok(forecast)
            })
            .await
    }
}

/// Adds the released manifests of a repository, and those in its trash.
fn items(
    meta: &Reader<'_>,
    repository: &str,
    released: Vec<Digest>,
    items: &mut Vec<EndingUndo>,
) -> Result<(), meta::Error> {
    let Ok(name) = RepositoryName::parse(repository) else {
        return Ok(());
    };
    let mut after = String::new();
    loop {
        let rows = meta.trash(Some(&name), (repository, &after), BATCH)?;
        let Some(last) = rows.last() else {
            break;
        };
        after = last.digest.to_string();
        items.extend(rows.into_iter().map(|row| EndingUndo {
            repository: row.repository,
            digest: row.digest,
            size: row.size,
            tags: row.tags,
            is_untagged: false,
        }));
    }
    let mut former = meta.former_tags(repository)?;
    for digest in released {
        let size = meta.manifest_size(&name, &digest)?;
        items.push(EndingUndo {
            repository: repository.to_owned(),
            size: size.map_or(0, |size| size.size),
            tags: former.remove(&digest).unwrap_or_default(),
            digest,
            is_untagged: true,
        });
    }
    Ok(())
}

/// Removes the released manifests of a repository, and what only they reference; returns the released ones.
fn manifests(
    simulation: &mut Simulation<'_>,
    repository: RepositoryId,
    retention: &Retention,
    now: Millis,
) -> Result<Vec<Digest>, meta::Error> {
    let meta = simulation.meta();
    let mut after = Cursor::START;
    let mut released = Vec::new();
    loop {
        let found = meta.released_manifests(repository, after, BATCH)?;
        let Some((last, _)) = found.last() else {
            return Ok(released);
        };
        after = *last;
        for (_, manifest) in found {
            if retention.is_deleted(&manifest)
                && !meta.has_tagged_subject(manifest.id)?
                && let Some(held) = meta.held_manifest(manifest.id)?
            {
                released.push(held.digest.clone());
                simulation.remove_manifest(held, Going::by_hand(now))?;
            }
        }
    }
}

/// Removes the released links of a repository.
fn links(
    simulation: &mut Simulation<'_>,
    repository: RepositoryId,
    now: Millis,
) -> Result<(), meta::Error> {
    let meta = simulation.meta();
    let mut after = Cursor::START;
    loop {
        let found = meta.released_links(repository, now, after, BATCH)?;
        let Some((last, _)) = found.last() else {
            return Ok(());
        };
        after = *last;
        for (_, link) in found {
            let removed = (link.blob, link.digest, link.size, link.links);
            simulation.remove_link(removed, now, WaitCause::Undo);
        }
    }
}
