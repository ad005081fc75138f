//! Upstreams as a server has seen them.

use serde::Deserialize;

use crate::meta::{Millis, UpstreamRow, UpstreamState, WriteTx, now};
use crate::oci::{Descriptor, Digest, RepositoryName, TagName};
use crate::registry::error::Error;
use crate::registry::facades::Upstreams;
use crate::registry::gc::eviction_counters::Evictions;

/// Blobs that a manifest names.
#[derive(Deserialize)]
struct Named {
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

impl<'r> Upstreams<'r> {
    /// Returns the upstreams that the last server had, with what is cached of each.
    pub async fn list(self) -> Result<Vec<UpstreamRow>, Error> {
        self.registry.scan(|reader| reader.upstreams()).await
    }

    /// Records the upstreams of a server; counts are those since the last time.
    pub async fn record(self, states: Vec<UpstreamState>) -> Result<(), Error> {
        if states.is_empty() && self.list().await?.is_empty() {
            return Ok(());
        }
        let record = move |tx: &WriteTx<'_>| Ok(tx.record_upstreams(&states)?);
        self.registry.meta.write(record).await
    }

    /// Returns cached tags that are gone upstream, with their repositories; at most `limit`.
    pub async fn gone_tags(self, limit: usize) -> Result<Vec<(RepositoryName, TagName)>, Error> {
        let rows = self.registry.scan(move |reader| reader.gone_tags(limit));
        let names = rows.await?.into_iter().filter_map(|(repository, tag)| {
            let repository = RepositoryName::parse(&repository).ok()?;
            Some((repository, TagName::parse(&tag).ok()?))
        });
        Ok(names.collect())
    }

    /// Returns the size that a manifest here says of a blob which is not here, in bytes; `None` if none names it.
    pub async fn named_size(
        self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<u64>, Error> {
        let (name, text) = (repository.clone(), digest.clone());
        let found = self
            .registry
            .scan(move |reader| reader.manifest_lacking(&name, &text));
        let Some(bytes) = found.await? else {
            return Ok(None);
        };
        let named: Option<Named> = serde_json::from_slice(&bytes).ok();
        let blobs = named.into_iter();
        let mut blobs = blobs.flat_map(|named| named.config.into_iter().chain(named.layers));
        let found = blobs.find(|blob| blob.digest == digest.as_str());
        Ok(found.and_then(|blob| u64::try_from(blob.size).ok()))
    }

    /// Records that a cached tag is gone upstream, which keeps its image from eviction.
    pub async fn mark_gone(self, repository: &RepositoryName, tag: &TagName) -> Result<(), Error> {
        self.set_gone(repository, tag, Some(now())).await
    }

    /// Records that an upstream has a cached tag again.
    pub async fn mark_present(
        self,
        repository: &RepositoryName,
        tag: &TagName,
    ) -> Result<(), Error> {
        self.set_gone(repository, tag, None).await
    }

    async fn set_gone(
        self,
        repository: &RepositoryName,
        tag: &TagName,
        since: Option<Millis>,
    ) -> Result<(), Error> {
        let (repository, tag) = (repository.clone(), tag.clone());
        let change = move |tx: &WriteTx<'_>| Ok(tx.set_gone(&repository, tag.as_str(), since)?);
        self.registry.meta.write(change).await
    }

    /// Returns the evictions of this process.
    pub fn evictions(self) -> &'r Evictions {
        &self.registry.evictions
    }
}
