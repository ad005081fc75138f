//! Disk usage by repository, by tag, and in total.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::meta::{Usage, now};
use crate::oci::{Digest, RepositoryName};
use crate::registry::blocking::blocking;
use crate::registry::content::page::Page;
use crate::registry::error::Error;
use crate::registry::facades::Reports;
use crate::registry::policy::retention::Retention;
use crate::registry::report::measurement::StoreUsage;
use crate::registry::report::removal::RemovalTotals;
use crate::registry::report::simulation::CollectionBaseline;
use crate::registry::report::simulation::Simulation;

/// Maximum number of repositories or tags in a page.
const PAGE: usize = 200;

/// Disk usage of a tag, in bytes of blobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagUsage {
    pub name: String,
    pub digest: Digest,
    /// Bytes of everything that the manifest references, each item counted once.
    pub logical: u64,
    /// Bytes that deleting the manifest would release, apart from what is removed anyway.
    pub exclusive: u64,
}

impl Reports<'_> {
    /// Lists the usage of repositories, by name, after `after`.
    pub async fn usage_by_repository(
        self,
        after: String,
    ) -> Result<Page<(RepositoryName, Usage)>, Error> {
        self.registry
            .scan(move |meta| {
                let names = Page::cut(meta.catalog(&after, PAGE + 1)?, PAGE, String::clone);
                let mut items = Vec::with_capacity(names.items.len());
                for name in names
                    .items
                    .iter()
                    .filter_map(|name| RepositoryName::parse(name).ok())
                {
                    // absent if removed since the page was read
                    items.extend(meta.usage(&name)?.map(|usage| (name, usage)));
                }
                Ok(Page {
                    items,
                    next: names.next,
                })
            })
            .await
    }

    /// Returns the usage of a repository.
    ///
    /// # Errors
    /// [`Error::NameUnknown`] if there is no such repository.
    pub async fn repository_usage(self, repository: &RepositoryName) -> Result<Usage, Error> {
        let name = repository.clone();
        self.registry
            .scan(move |meta| meta.usage(&name))
            .await?
            .ok_or_else(|| Error::NameUnknown(repository.clone()))
    }

    /// Simulates what collection removes in a repository, as the baseline of [`Self::tag_usage`].
    pub async fn baseline(
        self,
        repository: &RepositoryName,
        retention: &Retention,
    ) -> Result<CollectionBaseline, Error> {
        let (within, retention) = (BTreeSet::from([repository.to_string()]), retention.clone());
        self.registry
            .scan(move |meta| {
                let mut simulation = Simulation::new(meta, &retention, None);
                simulation.collect_in(now(), &within)?;
                Ok(simulation.losses)
            })
            .await
    }

    /// Lists the usage of a repository's tags, by name, after `after`.
    pub async fn tag_usage(
        self,
        repository: &RepositoryName,
        retention: &Retention,
        baseline: Arc<CollectionBaseline>,
        after: String,
    ) -> Result<Page<TagUsage>, Error> {
        let (name, retention) = (repository.clone(), retention.clone());
        self.registry
            .scan(move |meta| {
                let rows = Page::cut(meta.tags(&name, &after, PAGE + 1)?, PAGE, |row| {
                    row.name.clone()
                });
                let mut items = Vec::with_capacity(rows.items.len());
                for row in rows.items {
                    // deleted since the page was read
                    let Some(weight) = meta.manifest_size(&name, &row.digest)? else {
                        continue;
                    };
                    let mut simulation = Simulation::new(meta, &retention, Some(&baseline));
                    if let Some(manifest) = meta.manifest_in(&name, &row.digest)?
                        && simulation.is_last_hold(&manifest, &row.name)
                    {
                        simulation.remove_manifest(manifest, now(), String::new())?;
                    }
                    let exclusive = RemovalTotals::of(simulation.removals.iter()).bytes;
                    items.push(TagUsage {
                        name: row.name,
                        digest: row.digest,
                        logical: weight.blobs,
                        exclusive,
                    });
                }
                Ok(Page {
                    items,
                    next: rows.next,
                })
            })
            .await
    }

    /// Returns the usage of the whole store.
    pub async fn store_usage(self) -> Result<StoreUsage, Error> {
        let (totals, database) = self
            .registry
            .scan(|meta| Ok((meta.totals()?, meta.database_size()?)))
            .await?;
        let blobs = Arc::clone(&self.registry.blobs);
        let upload_bytes = blocking(move || {
            let mut bytes = 0;
            for id in blobs.upload_files()? {
                // absent if the upload ended meanwhile
                bytes += blobs.upload_length(&id?)?;
            }
            Ok(bytes)
        });
        let upload_bytes = upload_bytes
            .await?
            .map_err(Error::files("reading the uploads"))?;
        let free_disk = self
            .registry
            .blobs
            .free_bytes()
            .map_err(Error::files("reading the free disk space"))?;
        Ok(StoreUsage {
            totals,
            upload_bytes,
            database,
            free_disk,
        })
    }
}
