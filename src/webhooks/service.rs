//! Delivery of the events of a data directory, by one of its servers.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use tokio::sync::Notify;

use crate::events::{EventKind, EventKinds};
use crate::registry::{Error, KeptOpen, Registry};
use crate::webhooks::courier::Courier;
use crate::webhooks::format::Source;
use crate::webhooks::sender::Sender;

/// Interval at which events that belong to no change are written.
const NOTES_INTERVAL: Duration = Duration::from_millis(500);
/// Interval at which the outbox is held within its bounds.
const PRUNE_INTERVAL: Duration = Duration::from_secs(10);
/// Interval between attempts to become the server that delivers.
const TAKE_OVER_INTERVAL: Duration = Duration::from_millis(500);
/// Pause after an error.
const ERROR_PAUSE: Duration = Duration::from_secs(5);

/// Endpoints that are ready to be told of events.
pub struct Endpoints {
    pub senders: Vec<Arc<Sender>>,
    pub source: Source,
}

/// Delivery of events; clones share it.
#[derive(Clone)]
pub struct Webhooks(Arc<Shared>);

struct Shared {
    endpoints: ArcSwap<Endpoints>,
    changed: Notify,
}

impl Endpoints {
    fn names(&self) -> Vec<String> {
        let senders = self.senders.iter();
        senders.map(|sender| sender.endpoint.name.clone()).collect()
    }

    fn kinds(&self) -> EventKinds {
        let is_wanted = |kind: &EventKind| {
            let mut senders = self.senders.iter();
            senders.any(|sender| sender.endpoint.kinds().contains(*kind))
        };
        EventKind::ALL.into_iter().filter(is_wanted).collect()
    }
}

impl Webhooks {
    pub fn new(endpoints: Endpoints) -> Self {
        Self(Arc::new(Shared {
            endpoints: ArcSwap::from_pointee(endpoints),
            changed: Notify::new(),
        }))
    }

    /// Replaces the endpoints; what waits for one of the same name goes to the new one.
    pub fn replace(&self, endpoints: Endpoints) {
        self.0.endpoints.store(Arc::new(endpoints));
        self.0.changed.notify_one();
    }

    /// Records the endpoints, so that what happens from now on is written for them.
    pub async fn listen(&self, registry: &Registry) -> Result<(), Error> {
        let endpoints = self.0.endpoints.load_full();
        let (names, kinds) = (endpoints.names(), endpoints.kinds());
        registry.outbox().set_endpoints(names, kinds).await
    }

    /// Delivers until it is dropped.
    pub async fn run(&self, registry: &Registry) {
        tokio::join!(write_notes(registry), self.deliver(registry));
    }

    async fn deliver(&self, registry: &Registry) {
        let mut lock = None;
        loop {
            if let Err(error) = self.listen(registry).await {
                tracing::warn!(%error, "cannot record the endpoints of events; trying again");
                tokio::time::sleep(ERROR_PAUSE).await;
                continue;
            }
            let endpoints = self.0.endpoints.load_full();
            let work = async {
                if endpoints.senders.is_empty() {
                    lock = None;
                    std::future::pending::<()>().await;
                }
                if lock.is_none() {
                    lock = Some(become_the_one(registry).await);
                }
                deliver(registry, &endpoints).await;
            };
            tokio::select! {
                () = work => {}
                () = self.0.changed.notified() => {}
            }
        }
    }
}

/// Waits until no other server of the data directory delivers.
async fn become_the_one(registry: &Registry) -> KeptOpen {
    loop {
        match registry.outbox().lock_delivery() {
            Ok(Some(lock)) => return lock,
            Ok(None) => tokio::time::sleep(TAKE_OVER_INTERVAL).await,
            Err(error) => {
                tracing::warn!(%error, "cannot deliver events; trying again");
                tokio::time::sleep(ERROR_PAUSE).await;
            }
        }
    }
}

async fn deliver(registry: &Registry, endpoints: &Endpoints) {
    let source = Arc::new(endpoints.source.clone());
    let couriers = endpoints
        .senders
        .iter()
        .map(|sender| Courier::new(registry, Arc::clone(sender), Arc::clone(&source)).run());
    tokio::join!(join_all(couriers), prune(registry, endpoints.names()));
}

async fn prune(registry: &Registry, names: Vec<String>) {
    loop {
        if let Err(error) = registry.outbox().prune(names.clone()).await {
            tracing::warn!(%error, "cannot remove old events; trying again");
        }
        tokio::time::sleep(PRUNE_INTERVAL).await;
    }
}

/// Writes events that belong to no change: pulls, refusals, failures.
async fn write_notes(registry: &Registry) {
    loop {
        tokio::time::sleep(NOTES_INTERVAL).await;
        if let Err(error) = registry.outbox().write_notes().await {
            tracing::warn!(%error, "cannot write some events about pulls, refusals or failures");
        }
    }
}
