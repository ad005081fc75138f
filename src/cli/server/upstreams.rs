//! The upstreams of a server, and the addresses that lead to one of them.

use std::net::SocketAddr;
use std::time::Duration;

use tarkeep::config::Config;
use tarkeep::http::{Address, Listener, Server};
use tarkeep::mirror::Mirrors;
use tarkeep::oci::RepositoryName;
use tarkeep::registry::{Registry, UpstreamState};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::cli::error::Error;
use crate::cli::from_config::upstreams;
use crate::cli::server::adoptions;
use crate::cli::server::announce::cannot_bind;
use crate::cli::server::reload::{Part, Reloader};
use crate::cli::server::syncs;

/// Interval at which the states of upstreams are recorded.
const INTERVAL: Duration = Duration::from_secs(10);

/// Adds the mirrors to a server, listens on their own addresses, and begins to record what they do.
pub(super) async fn add(
    server: Server,
    registry: &Registry,
    config: &Config,
    reloader: &mut Reloader,
) -> Result<(Server, Recorder), Error> {
    let mirrors = upstreams::mirrors(config)?;
    let adopted = mirrors.adopted().into_iter().map(|(adopted, _)| adopted);
    adoptions::record(registry, adopted).await?;
    mirrors.remember_gone(registry).await?;
    let mut server = server.with_mirrors(mirrors.clone());
    let addresses = upstreams::listeners(config)?;
    for (prefix, address) in addresses.clone() {
        let address = Address::Tcp(address);
        let bound = Listener::bind(&address).await;
        let listener = bound.map_err(|error| cannot_bind(&address, &error))?;
        let bound = listener.addresses();
        for address in bound.map_err(|error| cannot_bind(&address, &error))? {
            tracing::info!(%address, upstream = %prefix, "listening for one upstream");
        }
        server.add_upstream_listener(listener, prefix);
    }
    let recorder = Recorder::start(mirrors, registry.clone(), addresses);
    reloader.register(recorder.part());
    Ok((server, recorder))
}

/// Tasks that record what the upstreams do, adopt those that are moved here, and fetch ahead from others.
pub(super) struct Recorder {
    mirrors: Mirrors,
    registry: Registry,
    addresses: Addresses,
    tasks: JoinSet<()>,
}

/// Addresses that lead to one upstream, each with its prefix.
type Addresses = Vec<(RepositoryName, SocketAddr)>;

impl Recorder {
    fn start(mirrors: Mirrors, registry: Registry, addresses: Addresses) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(record(mirrors.clone(), registry.clone()));
        tasks.spawn(adoptions::run(mirrors.clone(), registry.clone()));
        tasks.spawn(syncs::run(mirrors.clone(), registry.clone()));
        Self {
            mirrors,
            registry,
            addresses,
            tasks,
        }
    }

    /// Returns the part of the server that applies the section `upstreams`.
    fn part(&self) -> Part {
        let (mirrors, registry) = (self.mirrors.clone(), self.registry.clone());
        let (runtime, addresses) = (Handle::current(), self.addresses.clone());
        Box::new(move |config| {
            if upstreams::listeners(config)? != addresses {
                tracing::warn!("a changed listen of an upstream takes effect after a restart");
            }
            let Some(new) = upstreams::changed(&mirrors, config)? else {
                return Ok(Box::new(|| {}));
            };
            if mirrors.are(&new) {
                return Ok(Box::new(|| {}));
            }
            let (mirrors, registry, runtime) = (mirrors.clone(), registry.clone(), runtime.clone());
            Ok(Box::new(move || {
                // an error is in the log, and the task that walks tries again
                let _ = runtime.block_on(adoptions::record(&registry, new.adopted()));
                mirrors.replace(new);
                // new mirrors know no gone tags yet; without them, the next pulls and restarts learn them
                if let Err(error) = runtime.block_on(mirrors.remember_gone(&registry)) {
                    tracing::warn!(%error, "cannot read which tags are gone upstream");
                }
            }))
        })
    }

    /// Ends the tasks, and records what the upstreams did at last.
    pub(super) async fn end(mut self) {
        self.tasks.shutdown().await;
        write(&self.registry, self.mirrors.states()).await;
    }
}

async fn record(mirrors: Mirrors, registry: Registry) {
    let (mut interval, mut before) = (tokio::time::interval(INTERVAL), None);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let changed = mirrors.changed();
        let states = mirrors.states();
        let has_counts = states.iter().any(UpstreamState::has_counts);
        if has_counts || before.as_ref() != Some(&states) {
            write(&registry, states.clone()).await;
        }
        note_adoptions(&mirrors, &registry).await;
        // those of an earlier configuration are forgotten now
        if states.is_empty() {
            changed.await;
        }
        before = Some(states);
    }
}

async fn write(registry: &Registry, states: Vec<UpstreamState>) {
    if let Err(error) = registry.upstreams().record(states).await {
        tracing::warn!(%error, "cannot record the state of the upstreams");
    }
}

/// Notes how far adoptions are, for monitoring.
async fn note_adoptions(mirrors: &Mirrors, registry: &Registry) {
    if !mirrors.are_adopting() {
        return;
    }
    match registry.upstreams().adoptions().await {
        Ok(rows) => mirrors.note_adoptions(&rows),
        Err(error) => tracing::warn!(%error, "cannot read how far adoptions are"),
    }
}
