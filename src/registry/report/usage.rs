//! Disk usage by repository, by tag, and in total.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::meta::{Actor, RepositorySource, Usage, now};
use crate::oci::{Digest, RepositoryName};
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::facades::Reports;
use crate::registry::policy::retention::Retention;
use crate::registry::report::losses::{CollectionBaseline, Going};
use crate::registry::report::measurement::StoreUsage;
use crate::registry::report::ranking::TagKey;
use crate::registry::report::removal::RemovalTotals;
use crate::registry::report::simulation::Simulation;

/// Repository, with its usage and whoever last set a tag there.
#[derive(Clone, Debug)]
pub struct Overview {
    pub name: RepositoryName,
    pub usage: Usage,
    /// `None` without tags.
    pub set_by: Option<Actor>,
    /// Address of the registry whose content it caches.
    pub upstream: Option<Arc<str>>,
}

/// Disk usage of a tag, in bytes of blobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagUsage {
    pub key: TagKey,
    pub digest: Digest,
    /// Bytes of everything that the manifest references, each item counted once.
    pub logical: u64,
    /// Bytes that deleting the manifest would release, apart from what is removed anyway.
    pub exclusive: u64,
}

/// Holders of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerSpread {
    /// Repositories that need it.
    pub repositories: u64,
    /// Manifests of the repository that need it.
    pub images: u64,
}

impl Reports<'_> {
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

    /// Describes repositories in one read, without those that were removed meanwhile.
    pub async fn overview(self, names: Vec<RepositoryName>) -> Result<Vec<Overview>, Error> {
        self.registry
            .scan(move |meta| {
                let mut found = Vec::with_capacity(names.len());
                for name in names {
                    if let Some(usage) = meta.usage(&name)? {
                        found.push(Overview {
                            set_by: meta.last_setter(&name)?,
                            upstream: match meta.repository_source(&name)? {
                                Some(RepositorySource::Upstream(url)) => Some(url),
                                Some(RepositorySource::Own) | None => None,
                            },
                            usage,
                            name,
                        });
                    }
                }
                Ok(found)
            })
            .await
    }

    /// Simulates what collection removes in some repositories, as the baseline of [`Self::tag_usage`].
    pub async fn baseline(
        self,
        repositories: &[RepositoryName],
        retention: &Retention,
    ) -> Result<CollectionBaseline, Error> {
        let within: BTreeSet<_> = repositories.iter().map(ToString::to_string).collect();
        let retention = retention.clone();
        self.registry
            .scan(move |meta| {
                let mut simulation = Simulation::new(meta, &retention, None);
                simulation.collect_in(now(), &within)?;
                Ok(simulation.losses)
            })
            .await
    }

    /// Returns the usage of tags, without those that were removed meanwhile.
    pub async fn tag_usage(
        self,
        keys: Vec<TagKey>,
        retention: &Retention,
        baseline: Arc<CollectionBaseline>,
    ) -> Result<Vec<TagUsage>, Error> {
        let retention = retention.clone();
        self.registry
            .scan(move |meta| {
                let mut usages = Vec::with_capacity(keys.len());
                for key in keys {
                    let Some(row) = meta.tag_row(&key.repository, &key.name)? else {
                        continue;
                    };
                    let Some(weight) = meta.manifest_size(&key.repository, &row.digest)? else {
                        continue;
                    };
                    let mut simulation = Simulation::new(meta, &retention, Some(&baseline));
                    if let Some(manifest) = meta.manifest_in(&key.repository, &row.digest)?
                        && simulation.is_last_hold(&manifest, &row.name)
                    {
                        simulation.remove_manifest(manifest, Going::by_hand(now()))?;
                    }
                    let exclusive = RemovalTotals::of(simulation.removals.iter()).bytes;
                    usages.push(TagUsage {
                        key,
                        digest: row.digest,
                        logical: weight.blobs,
                        exclusive,
                    });
                }
                Ok(usages)
            })
            .await
    }

    /// Returns how far layers of an image in a repository are shared, by digest.
    pub async fn layer_spread(
        self,
        repository: &RepositoryName,
        layers: Vec<String>,
    ) -> Result<HashMap<String, LayerSpread>, Error> {
        let name = repository.clone();
        self.registry
            .scan(move |meta| {
                let mut found = HashMap::with_capacity(layers.len());
                for layer in layers {
                    let Ok(digest) = Digest::parse(&layer) else {
                        continue;
                    };
                    if let Some((repositories, images)) = meta.spread(&name, &digest)? {
                        let spread = LayerSpread {
                            repositories,
                            images,
                        };
                        found.insert(layer, spread);
                    }
                }
                Ok(found)
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
            .free_space()
            .map_err(Error::files("reading the free disk space"))?
            .bytes;
        Ok(StoreUsage {
            totals,
            upload_bytes,
            database,
            free_disk,
        })
    }
}
