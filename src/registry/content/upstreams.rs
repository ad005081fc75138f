//! Upstreams as a server has seen them.

use crate::meta::{Millis, UpstreamRow, UpstreamState, WriteTx, now};
use crate::oci::{RepositoryName, TagName};
use crate::registry::error::Error;
use crate::registry::facades::Upstreams;
use crate::registry::gc::eviction_counters::Evictions;

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
