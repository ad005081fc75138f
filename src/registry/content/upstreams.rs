//! Upstreams as a server has seen them.

use crate::meta::{UpstreamRow, UpstreamState};
use crate::registry::error::Error;
use crate::registry::facades::Upstreams;

impl Upstreams<'_> {
    /// Returns the upstreams that the last server had, with what is cached of each.
    pub async fn list(self) -> Result<Vec<UpstreamRow>, Error> {
        self.registry.scan(|reader| reader.upstreams()).await
    }

    /// Records the upstreams of a server; counts are those since the last time.
    pub async fn record(self, states: Vec<UpstreamState>) -> Result<(), Error> {
        if states.is_empty() && self.list().await?.is_empty() {
            return Ok(());
        }
        let record = move |tx: &crate::meta::WriteTx<'_>| Ok(tx.record_upstreams(&states)?);
        self.registry.meta.write(record).await
    }
}
