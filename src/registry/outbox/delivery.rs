//! Sharing out events to endpoints, and what became of each delivery.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::blob::KeptOpen;
use crate::events::{Event, EventKinds, Reference};
use crate::meta::{
    Attempt, DeliveryFilter, DeliveryRow, EndpointRow, NewDelivery, OutboxBounds, WaitingDelivery,
    WriteTx, lived_cutoff, millis, now, point,
};
use crate::oci::{Digest, RepositoryName};
use crate::registry::error::Error;
use crate::registry::facades::Outbox;
use crate::registry::outbox::counters::OutboxCounters;

/// Maximum number of events in the outbox.
const MOST_EVENTS: u64 = 100_000;
/// Number of events that are kept after their delivery.
const DELIVERED: i64 = 10_000;
/// Maximum age of an event.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Maximum number of rows removed in one transaction.
const PRUNED_AT_ONCE: usize = 2000;
/// Maximum number of events shared out in one transaction.
const SHARED_AT_ONCE: usize = 500;

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

    /// Records the endpoints of this server, and the kinds that they listen to.
    pub async fn set_endpoints(self, names: Vec<String>, kinds: EventKinds) -> Result<(), Error> {
        self.registry.notes.set_listened(kinds);
        let known = self
            .registry
            .scan(move |reader| reader.listened_kinds())
            .await?;
        if names.is_empty() && kinds == known {
            return Ok(());
        }
        let set = move |tx: &WriteTx<'_>| Ok(tx.set_endpoints(&names, kinds, now())?);
        self.registry.meta.write(set).await
    }

    /// Shares out new events to an endpoint; returns false if none are left.
    pub async fn share_out(
        self,
        endpoint: &str,
        judge: impl Fn(&Event) -> Option<Duration>,
    ) -> Result<bool, Error> {
        let name = endpoint.to_owned();
        let read = point(move |reader| {
            let Some(cursor) = reader.endpoint_cursor(&name)? else {
                return Ok(Vec::new());
            };
            match reader.last_event()? > cursor {
                true => reader.events_after(cursor, SHARED_AT_ONCE),
                false => Ok(Vec::new()),
            }
        });
        let events = self.registry.meta.read(read).await?;
        let Some(last) = events.last().map(|event| event.id) else {
            return Ok(false);
        };
        let now = now();
        let wanted = events.into_iter().filter_map(|event| {
            let delay = judge(&event)?;
            Some(NewDelivery {
                due_at: now.saturating_add(millis(delay)),
                collapses: !delay.is_zero(),
                event,
            })
        });
        let (name, wanted) = (endpoint.to_owned(), wanted.collect::<Vec<_>>());
        let share =
            move |tx: &WriteTx<'_>| Ok::<_, Error>(tx.share_out(&name, &wanted, last, now)?);
        self.registry.meta.write_lazily(share).await?;
        Ok(true)
    }

    /// Lists repositories whose next delivery to an endpoint is due, at most `limit`.
    pub async fn due(self, endpoint: &str, limit: usize) -> Result<Vec<String>, Error> {
        let (name, now) = (endpoint.to_owned(), now());
        self.registry
            .scan(move |reader| reader.due_repositories(&name, now, limit))
            .await
    }

    /// Lists the deliveries of a repository that are due, in their order, at most `limit`: one that is not ends the list.
    pub async fn next(
        self,
        endpoint: &str,
        repository: &str,
        limit: usize,
    ) -> Result<Vec<WaitingDelivery>, Error> {
        let (endpoint, repository) = (endpoint.to_owned(), repository.to_owned());
        let waiting = self
            .registry
            .scan(move |reader| reader.waiting_deliveries(&endpoint, &repository, limit))
            .await?;
        let now = now();
        let due = waiting.into_iter();
        Ok(due.take_while(|delivery| delivery.due_at <= now).collect())
    }

    /// Records attempts to deliver to an endpoint.
    pub async fn record(self, endpoint: &str, attempts: Vec<Attempt>) -> Result<(), Error> {
        let name = endpoint.to_owned();
        let record = move |tx: &WriteTx<'_>| Ok(tx.record_attempts(&name, &attempts)?);
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

    /// Removes what is beyond the bounds of the outbox. `endpoints` are those of this server.
    pub async fn prune(self, endpoints: Vec<String>) -> Result<(), Error> {
        let bounds = OutboxBounds {
            events: MOST_EVENTS,
            delivered: DELIVERED,
            cutoff: lived_cutoff(now().saturating_sub(millis(MAX_AGE))),
            at_once: PRUNED_AT_ONCE,
        };
        let prune = move |tx: &WriteTx<'_>| {
            tx.keep_endpoints(&endpoints, now())?;
            Ok::<_, Error>(tx.prune_outbox(&bounds)?)
        };
        let lost = self.registry.meta.write_lazily(prune).await?;
        if lost > 0 {
            self.registry.outbox_counters.lost.add(lost);
            tracing::warn!(
                deliveries = lost,
                "the outbox is full, or an endpoint failed for a month: the oldest events are dropped"
            );
        }
        Ok(())
    }

    /// Lists the endpoints that servers of this data directory have had.
    pub async fn endpoints(self) -> Result<Vec<EndpointRow>, Error> {
        self.registry.scan(|reader| reader.endpoints()).await
    }

    /// Lists deliveries older than the one numbered `before`, newest first, at most `limit`.
    pub async fn deliveries(
        self,
        filter: DeliveryFilter,
        before: i64,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, Error> {
        self.registry
            .scan(move |reader| reader.deliveries(&filter, before, limit))
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

    /// Counts the deliveries to an endpoint that wait.
    pub async fn count_waiting(self, endpoint: &str) -> Result<u64, Error> {
        let name = endpoint.to_owned();
        self.registry
            .scan(move |reader| reader.count_waiting(&name))
            .await
    }
}
