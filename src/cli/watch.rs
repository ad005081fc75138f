//! What a server is watched with: the access log, health checks and the debug port, as the configuration has them.

use std::net::SocketAddr;

use tarkeep::config::{Config, DebugServer as Settings, Wrongs, both};
use tarkeep::http::{AccessLog, DebugServer, Monitoring, Server};

use super::live::Live;
use super::{Failure, health, place};

/// Where metrics are on the debug port, unless the owner says otherwise.
const METRICS: &str = "/metrics";

/// Makes everything ready. The access log says nothing yet: the first line on standard output tells where the server is.
pub(super) fn monitoring(config: &Config, live: &mut Live) -> Result<Monitoring, Failure> {
    let health = health::checks(&config.health)?;
    let access_log = AccessLog::start(std::io::stdout(), false);
    let access_log = access_log.map_err(|error| {
        Failure::Other(format!("cannot start a thread for the access log: {error}"))
    })?;
    live.add({
        let access_log = access_log.clone();
        move |config| {
            let (access_log, is_logged) = (access_log.clone(), !config.log.accesslog.disabled);
            Ok(Box::new(move || access_log.set_enabled(is_logged)))
        }
    });
    Ok(Monitoring {
        health,
        access_log,
        reloads: live.reloads(),
    })
}

/// Where the debug port is, if there is to be one.
fn debug_address(debug: &Settings) -> Result<Option<SocketAddr>, Wrongs> {
    let Some(text) = debug.addr.as_deref().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    place::listen_address(Some(text)).map(Some).map_err(about)
}

/// Whether the debug port could be opened as the section has it; nothing is opened.
pub(super) fn check(debug: &Settings) -> Result<(), Wrongs> {
    both(debug_address(debug), metrics_path(debug)).map(drop)
}

/// What of the section has no effect.
pub(super) fn notes(debug: &Settings) -> Option<&'static str> {
    let has_port = debug.addr.as_deref().is_some_and(|text| !text.is_empty());
    let has_path = debug
        .prometheus
        .path
        .as_deref()
        .is_some_and(|path| !path.is_empty() && path != METRICS);
    if debug.prometheus.enabled && !has_port {
        Some(
            "http.debug.prometheus.enabled has no effect: metrics are served at http.debug.addr, which is not given",
        )
    } else if has_path && !debug.prometheus.enabled {
        Some(
            "http.debug.prometheus.path has no effect: metrics are served where http.debug.prometheus.enabled is true",
        )
    } else {
        None
    }
}

/// Where the metrics are on the debug port, if anywhere.
fn metrics_path(debug: &Settings) -> Result<Option<String>, Wrongs> {
    let path = match debug.prometheus.path.as_deref() {
        _ if !debug.prometheus.enabled => return Ok(None),
        None | Some("") => METRICS.to_owned(),
        Some(path) if path.starts_with('/') => path.to_owned(),
        Some(path) => format!("/{path}"),
    };
    if DebugServer::is_taken(&path) {
        let sentence = format!(
            "http.debug.prometheus.path is {path}, where something else is: choose another one, such as /metrics"
        );
        return Err(Wrongs::of("http.debug.prometheus.path", sentence));
    }
    Ok(Some(path))
}

fn about(problem: String) -> Wrongs {
    Wrongs::of("http.debug.addr", format!("http.debug.addr: {problem}"))
}

/// Binds the debug port, if there is to be one.
pub(super) async fn debug_server(
    debug: &Settings,
    server: &Server,
) -> Result<Option<DebugServer>, Failure> {
    let Some(address) = debug_address(debug)? else {
        return Ok(None);
    };
    let bound = DebugServer::bind(address, metrics_path(debug)?, server.monitor()).await;
    let bound = bound.and_then(|bound| Ok((bound.local_address()?, bound)));
    let (address, bound) = bound.map_err(|error| {
        about(format!(
            "cannot listen on {address}: {error}; choose another port, or take it out"
        ))
    })?;
    tracing::info!(%address, "the debug port is open");
    if !address.ip().is_loopback() {
        tracing::warn!(
            "the debug port is open to the network: whoever reaches {address} may read metrics and health"
        );
    }
    Ok(Some(bound))
}
