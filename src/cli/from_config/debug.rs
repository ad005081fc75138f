//! The settings of the debug port, from the section `http.debug`.

use std::net::SocketAddr;

use tarkeep::config::{self, Violations, combine};
use tarkeep::http::DebugServer;

use crate::cli::from_config::defaults;

/// Default path of the metrics.
const METRICS: &str = "/metrics";

/// Returns the listen address of the debug port, if configured.
pub(crate) fn address(debug: &config::DebugServer) -> Result<Option<SocketAddr>, Violations> {
    let Some(text) = debug.addr.as_deref().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    defaults::listen_address(Some(text))
        .map(Some)
        .map_err(violation)
}

/// Validates the section, without opening the port.
pub(crate) fn check(debug: &config::DebugServer) -> Result<(), Violations> {
    combine((address(debug), metrics_path(debug))).map(drop)
}

/// Returns a note about keys without effect.
pub(crate) fn notes(debug: &config::DebugServer) -> Option<&'static str> {
    let has_port = debug.addr.as_deref().is_some_and(|text| !text.is_empty());
    let has_path = debug
        .prometheus
        .path
        .as_deref()
        .is_some_and(|path| !path.is_empty() && path != METRICS);
    if debug.prometheus.enabled && !has_port {
        Some(
            "http.debug.prometheus.enabled has no effect: metrics are served at http.debug.addr, which is not set",
        )
    } else if has_path && !debug.prometheus.enabled {
        Some(
            "http.debug.prometheus.path has no effect: metrics are served only if http.debug.prometheus.enabled is true",
        )
    } else {
        None
    }
}

/// Returns the path of the metrics, if enabled.
pub(crate) fn metrics_path(debug: &config::DebugServer) -> Result<Option<String>, Violations> {
    let path = match debug.prometheus.path.as_deref() {
        _ if !debug.prometheus.enabled => return Ok(None),
        None | Some("") => METRICS.to_owned(),
        Some(path) if path.starts_with('/') => path.to_owned(),
        Some(path) => format!("/{path}"),
    };
    if DebugServer::is_reserved(&path) {
        let sentence = format!(
            "http.debug.prometheus.path is {path}, which is in use: choose another one, such as /metrics"
        );
        return Err(Violations::of("http.debug.prometheus.path", sentence));
    }
    Ok(Some(path))
}

pub(crate) fn violation(problem: String) -> Violations {
    Violations::of("http.debug.addr", format!("http.debug.addr: {problem}"))
}
