//! Monitoring of a server: access log, health checks and debug port.

use std::sync::Arc;

use tarkeep::config::{self, Config};
use tarkeep::http::{AccessLog, Address, DebugServer, Listener, Monitoring, Reloads, Server};

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

/// Opens the debug port, if one is configured or `inherited`.
pub(super) async fn debug_server(
    section: &config::DebugServer,
    server: &Server,
    inherited: Option<Listener>,
) -> Result<Option<DebugServer>, Error> {
    let listener = match (inherited, debug::address(section)?) {
        (Some(inherited), _) => inherited,
        (None, Some(address)) => {
            let bound = Listener::bind(&Address::Tcp(address)).await;
            bound.map_err(|error| {
                debug::violation(format!(
                    "cannot listen on {address}: {error}; choose another port, or remove the key"
                ))
            })?
        }
        (None, None) => return Ok(None),
    };
    let addresses = listener.addresses().map_err(|error| {
        Error::Other(format!("cannot find out the debug port's address: {error}"))
    })?;
    for address in addresses {
        tracing::info!(%address, "debug port listening");
        if address.is_open_to_network() {
            tracing::warn!(
                "the debug port is open to the network: anyone who reaches {address} can read metrics and health"
            );
        }
    }
    let metrics = debug::metrics_path(section)?;
    Ok(Some(DebugServer::new(listener, metrics, server.monitor())))
}
