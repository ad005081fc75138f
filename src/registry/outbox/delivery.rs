//! Progress of endpoints, and their deliveries.

use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::watch;

use crate::blob::KeptOpen;
use crate::events::{Event, EventKinds, Reference};
use crate::meta::{
    AskedFor, DatabaseState, DeliveryFilter, DeliveryPlace, DeliveryRow, EndpointRow,
    ListeningEndpoint, NewEvent, Queue, Reader, Told, WriteTx, now, point,
};
use crate::oci::{Digest, RepositoryName};
use crate::registry::error::Error;
use crate::registry::facades::Outbox;
use crate::registry::outbox::counters::OutboxCounters;

/// Maximum number of events that somebody asked for and that are read at once.
const ASKED_AT_ONCE: usize = 8;
/// Number of rows removed in one change.
const FORGOTTEN_AT_ONCE: usize = 250;

/// Descriptors in a manifest.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Parts {
    config: Option<Reference>,
    layers: Vec<Reference>,
    manifests: Vec<Reference>,
}

impl Outbox<'_> {
    /// Locks the delivery of this data directory's events; `None` while another server delivers them.
    pub fn lock_delivery(self) -> Result<Option<KeptOpen>, Error> {
        let lock = self.registry.blobs.lock_delivery();
        lock.map_err(Error::files("locking the delivery of events"))
    }

    /// Notes the kinds that this server's endpoints listen to.
    pub fn listen(self, kinds: EventKinds) {
        self.registry.notes.set_listened(kinds);
    }

    /// Lists the endpoints that are told.
    pub async fn listening(self) -> Result<Vec<ListeningEndpoint>, Error> {
        let read = point(|reader| reader.listening_endpoints());
        Ok(self.registry.meta.read(read).await?)
    }

    /// Records the endpoints of the server that delivers, and forgets all others with what waited for them.
    pub async fn set_endpoints(self, endpoints: Vec<ListeningEndpoint>) -> Result<(), Error> {
        let known = self.listening().await?;
        let gone = known.iter().map(|endpoint| endpoint.name.clone());
        let gone = gone.filter(|name| endpoints.iter().all(|endpoint| endpoint.name != *name));
        for name in Vec::from_iter(gone) {
            self.forget(name).await?;
        }
        if endpoints.iter().all(|endpoint| known.contains(endpoint)) {
            return Ok(());
        }
        let set = move |tx: &WriteTx<'_>| Ok(tx.set_endpoints(&endpoints)?);
        self.registry.meta.write(set).await
    }

    /// Forgets an endpoint; itself last, so that a crash forgets no part alone.
    async fn forget(self, name: String) -> Result<(), Error> {
        let waiting = self.count_waiting(&name).await?;
        loop {
            let name = name.clone();
            let forget = move |tx: &WriteTx<'_>| {
                Ok::<_, Error>(tx.forget_attempts(&name, FORGOTTEN_AT_ONCE)?)
            };
            if !self.registry.meta.write_lazily(forget).await? {
                break;
            }
        }
        let forgotten = name.clone();
        let forget = move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.forget_endpoint(&forgotten)?);
        self.registry.meta.write(forget).await?;
        tracing::warn!(
            endpoint = name,
            waiting,
            "this endpoint is no longer configured: what waited for it is dropped, and if it comes back it is told of what happens from then on"
        );
        Ok(())
    }

    /// Returns what is told of each commit of this process with new events.
    pub fn news(self) -> watch::Receiver<()> {
        self.registry.meta.events()
    }

    /// Returns a fingerprint of the database, which every commit of any process changes; `None` if it cannot be seen now.
    pub fn state(self) -> Option<DatabaseState> {
        self.registry.meta.state()
    }

    /// Returns the number of the event up to which an endpoint was told.
    pub async fn cursor(self, endpoint: &str) -> Result<i64, Error> {
        let read = point(|reader| match reader.endpoint_cursor(endpoint)? {
            Some(cursor) => Ok(cursor),
            None => reader.last_event(),
        });
        Ok(self.registry.meta.read(read).await?)
    }

    /// Lists events after the one numbered `after`, oldest first, at most `limit`; and those that somebody asked for.
    pub async fn new_events(
        self,
        endpoint: &str,
        after: i64,
        limit: usize,
    ) -> Result<(Vec<NewEvent>, Vec<AskedFor>), Error> {
        let read = point(|reader| {
            Ok((
                reader.new_events(endpoint, after, limit)?,
                reader.asked_for(endpoint, ASKED_AT_ONCE)?,
            ))
        });
        Ok(self.registry.meta.read(read).await?)
    }

    /// Lists the queues of an endpoint, the first due first, at most `limit`.
    pub async fn queues(self, endpoint: &str, limit: usize) -> Result<Vec<Queue>, Error> {
        let read = point(|reader| reader.queues(endpoint, limit));
        Ok(self.registry.meta.read(read).await?)
    }

    /// Lists events of a repository from one number to another, in their order, at most `limit`.
    pub async fn events_of(
        self,
        repository: &str,
        from: i64,
        to: i64,
        limit: usize,
    ) -> Result<Vec<Event>, Error> {
        let repository = repository.to_owned();
        let _one = self.registry.notes.looking.lock().await;
        let read = move |reader: &Reader<'_>| reader.events_of(&repository, from, to, limit);
        self.registry.scan(read).await
    }

    /// Records what an endpoint was told, together with the next change that anybody makes.
    pub async fn record(self, endpoint: &str, told: Arc<Told>) -> Result<(), Error> {
        let name = endpoint.to_owned();
        let record = move |tx: &WriteTx<'_>| Ok(tx.record_told(&name, &told)?);
        self.registry.meta.write_along(record).await
    }

    /// Records what an endpoint was told, at once.
    pub async fn record_last(self, endpoint: &str, told: Arc<Told>) -> Result<(), Error> {
        let name = endpoint.to_owned();
        let record = move |tx: &WriteTx<'_>| Ok(tx.record_told(&name, &told)?);
        self.registry.meta.write_lazily(record).await
    }

    /// Returns the descriptors that an event's manifest names, in its order; none if it is no manifest, or gone.
    pub async fn references(self, event: &Event) -> Result<Vec<Reference>, Error> {
        let named = event.repository.as_deref().zip(event.target.as_ref());
        let named = named.map(|(repository, target)| {
            (
                RepositoryName::parse(repository),
                Digest::parse(&target.digest),
            )
        });
        let Some((Ok(repository), Ok(digest))) = named else {
            return Ok(Vec::new());
        };
        let found = self
            .registry
            .meta
            .manifest_by_digest(&repository, &digest)
            .await?;
        let parts =
            found.and_then(|manifest| serde_json::from_slice::<Parts>(&manifest.bytes).ok());
        Ok(parts.map_or_else(Vec::new, |parts| {
            let parts = parts
                .config
                .into_iter()
                .chain(parts.layers)
                .chain(parts.manifests);
            parts.collect()
        }))
    }

    /// Lists the endpoints that are told, with what waits for them.
    pub async fn endpoints(self) -> Result<Vec<EndpointRow>, Error> {
        self.registry.scan(|reader| reader.endpoints()).await
    }

    /// Lists deliveries after a place in the list, the newest events first, at most `limit`.
    pub async fn deliveries(
        self,
        filter: DeliveryFilter,
        after: Option<DeliveryPlace>,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, Error> {
        self.registry
            .scan(move |reader| reader.deliveries(&filter, after.as_ref(), limit))
            .await
    }

    /// Has an event delivered again to an endpoint; false if it is not known.
    pub async fn resend(self, endpoint: &str, event: i64) -> Result<bool, Error> {
        let name = endpoint.to_owned();
        let resend = move |tx: &WriteTx<'_>| Ok(tx.resend(&name, event, now())?);
        self.registry.meta.write(resend).await
    }

    /// Counters of the outbox.
    pub fn counters(&self) -> Arc<OutboxCounters> {
        Arc::clone(&self.registry.outbox_counters)
    }

    /// Counts the events that wait for an endpoint.
    pub async fn count_waiting(self, endpoint: &str) -> Result<u64, Error> {
        let name = endpoint.to_owned();
        self.registry
            .scan(move |reader| reader.count_waiting(&name))
            .await
    }
}
