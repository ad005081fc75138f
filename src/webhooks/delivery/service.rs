//! Delivery of the events of a data directory, by one of its servers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::courier::{Courier, Order};
use super::turn::Sending;
use crate::events::{EventKind, EventKinds};
use crate::registry::{Error, KeptOpen, ListeningEndpoint, Registry};
use crate::threads::low_priority;
use crate::webhooks::format::Source;
use crate::webhooks::sender::Sender;

/// Time for which events that belong to no change are gathered.
const GATHERING: Duration = Duration::from_millis(500);
/// Interval at which the outbox is held within its bounds without changes, because events get older.
const AGE_INTERVAL: Duration = Duration::from_secs(600);
/// Interval at which changes by other processes are noticed, the outbox is held within its bounds, and failed couriers are replaced.
const OTHERS_INTERVAL: Duration = Duration::from_secs(1);
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
    /// Lock of the delivery, while this server has it.
    lock: Mutex<Option<KeptOpen>>,
    /// Time that attempts under way have, once it stops.
    stopping: watch::Sender<Option<Duration>>,
    has_ended: watch::Sender<bool>,
}

/// A courier at work; it is stopped at once when this is dropped.
struct Running {
    sender: Arc<Sender>,
    source: Arc<Source>,
    orders: watch::Sender<Order>,
    task: JoinHandle<()>,
}

impl Endpoints {
    fn listening(&self) -> Vec<ListeningEndpoint> {
        let senders = self.senders.iter();
        let listening = senders.map(|sender| ListeningEndpoint {
            name: sender.endpoint.name.clone(),
            kinds: sender.endpoint.kinds(),
        });
        listening.collect()
    }

    fn kinds(&self) -> EventKinds {
        let listening = self.listening();
        let is_wanted = |kind: &EventKind| listening.iter().any(|one| one.kinds.contains(*kind));
        EventKind::ALL.into_iter().filter(is_wanted).collect()
    }
}

impl Running {
    fn begin(registry: &Registry, sender: &Arc<Sender>, source: &Arc<Source>) -> Self {
        let (orders, received) = watch::channel(Order::Deliver);
        let sending = Sending {
            registry: registry.clone(),
            sender: Arc::clone(sender),
            source: Arc::clone(source),
        };
        Self {
            sender: Arc::clone(sender),
            source: Arc::clone(source),
            orders,
            task: tokio::spawn(async move { Courier::begin(sending).await.run(received).await }),
        }
    }

    fn does(&self, sender: &Sender, source: &Source) -> bool {
        self.sender.is_same(sender) && *self.source == *source && !self.task.is_finished()
    }

    /// Has it end its attempts, and waits for that.
    async fn stop(mut self) {
        self.orders.send_replace(Order::Stop);
        // a panic is logged already
        let _ = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Webhooks {
    pub fn new(endpoints: Endpoints) -> Self {
        Self(Arc::new(Shared {
            endpoints: ArcSwap::from_pointee(endpoints),
            changed: Notify::new(),
            lock: Mutex::default(),
            stopping: watch::Sender::new(None),
            has_ended: watch::Sender::new(false),
        }))
    }

    /// Replaces the endpoints; what waits for one of the same name goes to the new one.
    pub fn replace(&self, endpoints: Endpoints) {
        self.0.endpoints.store(Arc::new(endpoints));
        self.0.changed.notify_one();
    }

    /// Records the endpoints, so that what happens from now on is written for them.
    ///
    /// Returns false while another server of the data directory delivers: its endpoints count.
    pub async fn listen(&self, registry: &Registry) -> Result<bool, Error> {
        let (endpoints, outbox) = (self.0.endpoints.load_full(), registry.outbox());
        outbox.listen(endpoints.kinds());
        let listening = endpoints.listening();
        if listening.is_empty() && outbox.listening().await?.is_empty() {
            return Ok(true);
        }
        if self.0.lock.lock().is_none() {
            let Some(lock) = outbox.lock_delivery()? else {
                return Ok(false);
            };
            *self.0.lock.lock() = Some(lock);
        }
        outbox.set_endpoints(listening).await?;
        if endpoints.senders.is_empty() {
            *self.0.lock.lock() = None;
        }
        Ok(true)
    }

    /// Begins no more attempts; those under way may end within this time.
    pub fn stop(&self, drain: Duration) {
        self.0.stopping.send_replace(Some(drain));
    }

    /// Waits until all attempts have ended and are recorded, or their time is over, after [`Self::stop`].
    pub async fn ended(&self) {
        // it cannot be dropped before
        let _ = self.0.has_ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// Delivers until it is dropped, on a thread that leaves processors to requests.
    pub async fn run(&self, registry: &Registry) {
        let (webhooks, own) = (self.clone(), registry.clone());
        let work = move || async move { webhooks.run_here(&own).await };
        if let Err(error) = low_priority::run("webhooks", work).await {
            tracing::warn!(%error, "cannot start a thread for events: they are delivered among requests");
            self.run_here(registry).await;
        }
    }

    async fn run_here(&self, registry: &Registry) {
        let mut couriers = BTreeMap::new();
        let mut stopping = self.0.stopping.subscribe();
        tokio::select! {
            () = write_notes(registry) => {}
            () = self.deliver(registry, &mut couriers) => {}
            _ = stopping.wait_for(Option::is_some) => {}
        }
        let drain = self.0.stopping.borrow().unwrap_or_default();
        let stopped = tokio::time::timeout(drain, stop_all(couriers)).await;
        if stopped.is_err() {
            tracing::warn!(
                "drain timeout reached: cutting off deliveries of events, which are made again"
            );
        }
        self.0.has_ended.send_replace(true);
        std::future::pending().await
    }

    async fn deliver(&self, registry: &Registry, couriers: &mut BTreeMap<String, Running>) {
        let mut is_said = false;
        loop {
            let endpoints = self.0.endpoints.load_full();
            let source = Arc::new(endpoints.source.clone());
            keep(couriers, &endpoints, &source).await;
            let pause = match self.listen(registry).await {
                Ok(true) => {
                    is_said = false;
                    for sender in &endpoints.senders {
                        let name = sender.endpoint.name.clone();
                        couriers
                            .entry(name)
                            .or_insert_with(|| Running::begin(registry, sender, &source));
                    }
                    None
                }
                Ok(false) => {
                    if !is_said {
                        tracing::info!(
                            "another server of the data directory delivers events, to the endpoints of its own configuration"
                        );
                    }
                    is_said = true;
                    Some(TAKE_OVER_INTERVAL)
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot record the endpoints of events; trying again");
                    Some(ERROR_PAUSE)
                }
            };
            let wait = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None if couriers.is_empty() => std::future::pending().await,
                    None => watch_over(registry, couriers).await,
                }
            };
            tokio::select! {
                () = wait => {}
                () = self.0.changed.notified() => {}
            }
        }
    }
}

/// Stops the couriers whose endpoints or settings are others now; the rest goes on.
async fn keep(couriers: &mut BTreeMap<String, Running>, endpoints: &Endpoints, source: &Source) {
    let (kept, stopped) = std::mem::take(couriers)
        .into_iter()
        .partition(|(name, running)| {
            let mut senders = endpoints.senders.iter();
            let sender = senders.find(|sender| sender.endpoint.name == *name);
            sender.is_some_and(|sender| running.does(sender, source))
        });
    *couriers = kept;
    stop_all(stopped).await;
}

async fn stop_all(couriers: BTreeMap<String, Running>) {
    join_all(couriers.into_values().map(Running::stop)).await;
}

/// Tells couriers of changes by other processes and holds the outbox within its bounds, until a courier fails.
///
/// An unchanged database costs a look at a few words of memory.
async fn watch_over(registry: &Registry, couriers: &BTreeMap<String, Running>) {
    let outbox = registry.outbox();
    let (mut seen, mut pruned) = (None, None::<Instant>);
    loop {
        let state = outbox.state();
        let is_due = pruned.is_none_or(|at| at.elapsed() >= AGE_INTERVAL);
        if is_due || state.is_none() || state != seen {
            for running in couriers.values() {
                running.orders.send_replace(Order::LookAgain);
            }
            pruned = Some(Instant::now());
            if let Err(error) = outbox.prune().await {
                tracing::warn!(%error, "cannot remove old events; trying again");
                pruned = None;
            }
        }
        seen = state;
        tokio::time::sleep(OTHERS_INTERVAL).await;
        if couriers.values().any(|running| running.task.is_finished()) {
            return;
        }
    }
}

/// Writes events that belong to no change: pulls, refusals, failures.
async fn write_notes(registry: &Registry) {
    let outbox = registry.outbox();
    loop {
        outbox.wait_for_notes().await;
        tokio::time::sleep(GATHERING).await;
        if let Err(error) = outbox.write_notes().await {
            tracing::warn!(%error, "cannot write some events about pulls, refusals or failures; trying again");
            tokio::time::sleep(ERROR_PAUSE).await;
        }
    }
}
