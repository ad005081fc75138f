//! Monitoring of a server: access log, health checks and debug port.

use std::sync::Arc;

use tarkeep::config::{self, Config};
use tarkeep::http::{AccessLog, DebugServer, Monitoring, Reloads, Server};

use crate::cli::error::Error;
use crate::cli::from_config::{debug, health};

/// Prepares monitoring. The access log is still off: the first line on standard output must be the announcement.
pub(super) fn start(config: &Config, reloads: Arc<Reloads>) -> Result<Monitoring, Error> {
    let health = health::checks(&config.health)?;
    let access_log = AccessLog::start(std::io::stdout());
    let access_log = access_log.map_err(|error| {
        Error::Other(format!("cannot start a thread for the access log: {error}"))
    })?;
    Ok(Monitoring {
        health,
        access_log,
        reloads,
    })
}

/// Binds the debug port, if configured.
pub(super) async fn debug_server(
    section: &config::DebugServer,
    server: &Server,
) -> Result<Option<DebugServer>, Error> {
    let Some(address) = debug::address(section)? else {
        return Ok(None);
    };
    let bound = DebugServer::bind(address, debug::metrics_path(section)?, server.monitor()).await;
    let bound = bound.and_then(|bound| Ok((bound.local_address()?, bound)));
    let (address, bound) = bound.map_err(|error| {
        debug::violation(format!(
            "cannot listen on {address}: {error}; choose another port, or remove the key"
        ))
    })?;
    tracing::info!(%address, "debug port listening");
    if !address.ip().is_loopback() {
        tracing::warn!(
            "the debug port is open to the network: anyone who reaches {address} can read metrics and health"
        );
    }
    Ok(Some(bound))
}
