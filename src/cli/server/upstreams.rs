//! The upstreams of a server, and the addresses that lead to one of them.

use std::time::Duration;

use tarkeep::config::Config;
use tarkeep::http::{Address, Listener, Server};
use tarkeep::mirror::Mirrors;
use tarkeep::registry::{Registry, UpstreamState};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::cli::error::Error;
use crate::cli::from_config::upstreams;
use crate::cli::server::announce::cannot_bind;

/// Interval at which the states of upstreams are recorded.
const INTERVAL: Duration = Duration::from_secs(10);

/// Adds the mirrors to a server, listens on their own addresses, and begins to record what they do.
pub(super) async fn add(
    server: Server,
    registry: &Registry,
    config: &Config,
) -> Result<(Server, Recorder), Error> {
    let mirrors = upstreams::mirrors(config)?;
    mirrors.remember_gone(registry).await?;
    let mut server = server.with_mirrors(mirrors.clone());
    for (prefix, address) in upstreams::listeners(config)? {
        let address = Address::Tcp(address);
        let bound = Listener::bind(&address).await;
        let listener = bound.map_err(|error| cannot_bind(&address, &error))?;
        let bound = listener.addresses();
        for address in bound.map_err(|error| cannot_bind(&address, &error))? {
            tracing::info!(%address, upstream = %prefix, "listening for one upstream");
        }
        server.add_upstream_listener(listener, prefix);
    }
    Ok((server, Recorder::start(mirrors, registry.clone())))
}

/// A task that records what the upstreams do.
pub(super) struct Recorder {
    mirrors: Mirrors,
    registry: Registry,
    task: JoinHandle<()>,
}

impl Recorder {
    fn start(mirrors: Mirrors, registry: Registry) -> Self {
        let task = tokio::spawn(record(mirrors.clone(), registry.clone()));
        Self {
            mirrors,
            registry,
            task,
        }
    }

    /// Ends the task, and records what the upstreams did at last.
    pub(super) async fn end(self) {
        self.task.abort();
        let _ = self.task.await;
        write(&self.registry, self.mirrors.states()).await;
    }
}

async fn record(mirrors: Mirrors, registry: Registry) {
    let (mut interval, mut before) = (tokio::time::interval(INTERVAL), None);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let states = mirrors.states();
        let has_counts = states.iter().any(UpstreamState::has_counts);
        if has_counts || before.as_ref() != Some(&states) {
            write(&registry, states.clone()).await;
        }
        // those of an earlier configuration are forgotten now
        if states.is_empty() {
            return;
        }
        before = Some(states);
    }
}

async fn write(registry: &Registry, states: Vec<UpstreamState>) {
    if let Err(error) = registry.upstreams().record(states).await {
        tracing::warn!(%error, "cannot record the state of the upstreams");
    }
}
