//! `registry health`: readiness of the running server, for a container's health check.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use ::http::{Response, StatusCode};
use bytes::Bytes;
use serde_json::Value;
use tarkeep::config::{Config, Loaded};
use tarkeep::health::{Endpoint, readiness};
use tarkeep::http::Address;
use tarkeep::tls::unverified_client;

use crate::cli::error::Error;
use crate::cli::from_config::{defaults, http, tls};
use crate::cli::running_server::RunningServer;
use crate::cli::terminal::output;

/// Timeout of the whole check.
const PATIENCE: Duration = Duration::from_secs(10);

/// Check that the running server is ready; the exit status is 1 if it is not
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The server's configuration [default: that of the only server running on this machine or in this container]
    #[arg(value_name = "CONFIG.yml")]
    config: Option<PathBuf>,
    /// The server's listen address [default: that of its configuration]
    #[arg(long, value_name = "HOST:PORT")]
    addr: Option<String>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Target {
        config,
        addr,
        environment,
    } = match arguments {
        Arguments {
            config: None,
            addr: None,
        } => running().unwrap_or_default(),
        Arguments { config, addr } => Target {
            config,
            addr,
            ..Target::default()
        },
    };
    let file = defaults::configuration(config);
    let judged = Config::draft(file.as_deref(), environment.into_iter())?
        .finish_with(|config| http::address(addr.as_deref(), &config.http));
    let (Loaded { config, .. }, address) = judged?;
    let is_encrypted = tls::is_encrypted(&config.http)?;
    let scheme = if is_encrypted { "https" } else { "http" };
    let local = address.local();
    let place = format!("{scheme}://{local}");
    let endpoint = match local {
        Address::Tcp(address) => Endpoint::Tcp(address),
        Address::Unix(path) => Endpoint::Unix(path),
    };
    let tls = is_encrypted.then(unverified_client).transpose();
    let tls = tls.map_err(|error| Error::Other(error.to_string()))?;
    match tokio::time::timeout(PATIENCE, readiness(&endpoint, tls)).await {
        Ok(Ok(response)) => report(&place, &response),
        Ok(Err(error)) if error.is_asked_for_certificate() => output::print(&format!(
            "{place} is up, but reports readiness only to clients with a certificate\n"
        )),
        Ok(Err(error)) if error.is_not_http() => Err(Error::Other(format!(
            "{place} is not a registry: it does not respond in HTTP"
        ))),
        Ok(Err(error)) => Err(Error::Other(format!("{place} does not respond: {error}"))),
        Err(_) => Err(Error::Other(format!(
            "{place} does not respond within {} seconds",
            PATIENCE.as_secs()
        ))),
    }
}

/// Configuration and environment of a server.
struct Target {
    config: Option<PathBuf>,
    addr: Option<String>,
    environment: Vec<(OsString, OsString)>,
}

impl Default for Target {
    fn default() -> Self {
        Self {
            config: None,
            addr: None,
            environment: std::env::vars_os().collect(),
        }
    }
}

/// Finds the only running server of this program; `None` if there is none, or more than one.
fn running() -> Option<Target> {
    let servers = RunningServer::all();
    let [server] = &servers[..] else {
        return None;
    };
    Some(Target {
        config: server.configuration(),
        addr: server.address().map(str::to_owned),
        environment: server.environment(),
    })
}

fn report(place: &str, response: &Response<Bytes>) -> Result<(), Error> {
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    match (response.status(), body["checks"].as_object()) {
        (StatusCode::OK, _) => output::print(&format!("{place} is ready\n")),
        (StatusCode::SERVICE_UNAVAILABLE, Some(checks)) => {
            let causes: Vec<_> = checks
                .iter()
                .map(|(name, cause)| format!("{name}: {}", cause.as_str().unwrap_or_default()))
                .collect();
            Err(Error::Other(format!(
                "{place} is not ready: {}",
                causes.join("; ")
            )))
        }
        (status, _) => Err(Error::Other(format!(
            "{place} is not a registry: it responds with '{:?} {status}'",
            response.version()
        ))),
    }
}
