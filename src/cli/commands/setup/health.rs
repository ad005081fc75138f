//! `registry health`: readiness of the running server, for a container's health check.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::http::{Response, StatusCode};
use bytes::Bytes;
use serde_json::{Value, json};
use tarkeep::config::{Config, Loaded};
use tarkeep::health::{Endpoint, readiness};
use tarkeep::http::Address;
use tarkeep::tls::unverified_client;

use crate::cli::configuration::Configuration;
use crate::cli::error::Error;
use crate::cli::from_config::{defaults, http, tls};
use crate::cli::owner;
use crate::cli::running_server::{self, RunningServer};
use crate::cli::sources;
use crate::cli::terminal::json;
use crate::cli::terminal::keys;
use crate::cli::terminal::output::{self, Format, Output};

/// Timeout of the whole check.
const PATIENCE: Duration = Duration::from_secs(10);

/// Check that the running server is ready; the exit code is 1 if it is not
///
/// Without arguments it asks the only server that runs on this machine or in this container. If several run, name one with
/// --data-dir or --addr.
#[derive(clap::Args)]
#[command(after_help = keys::HEALTH)]
pub(crate) struct Arguments {
    #[command(flatten)]
    config: Configuration,
    /// The server's listen address [default: that of its configuration]
    #[arg(long, value_name = "HOST:PORT")]
    addr: Option<String>,
    /// Data directory of the running server that is meant
    #[arg(long, value_name = "DIR", conflicts_with_all = ["addr", "position", "named"])]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// Readiness of a server, as far as it is known.
enum Readiness {
    Ready,
    /// It reports readiness only to clients with a certificate.
    Reachable,
    /// Failing checks, with their causes.
    Failing(Vec<(String, String)>),
    /// The end of a sentence that begins with the address.
    Unknown(String),
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let format = arguments.output.format;
    let is_named = arguments.config.path().is_some() || arguments.addr.is_some();
    let Target {
        config,
        addr,
        environment,
    } = match (arguments.config.path(), arguments.addr) {
        (None, None) => running(arguments.data_dir.as_deref())?.unwrap_or_default(),
        (config, addr) => Target {
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
    let readiness = match tokio::time::timeout(PATIENCE, readiness(&endpoint, tls)).await {
        Ok(Ok(response)) => Readiness::of(&response),
        Ok(Err(error)) if error.is_asked_for_certificate() => Readiness::Reachable,
        Ok(Err(error)) if error.is_not_http() => {
            Readiness::Unknown("is not a registry: it does not respond in HTTP".to_owned())
        }
        Ok(Err(error)) if is_named => Readiness::Unknown(format!("does not respond: {error}")),
        Ok(Err(error)) => {
            Readiness::Unknown(format!("does not respond: {error}{}", foreign_server()))
        }
        Err(_) => Readiness::Unknown(format!(
            "does not respond within {} seconds",
            PATIENCE.as_secs()
        )),
    };
    match format {
        Format::Text => readiness.say(&place),
        Format::Json => readiness.print(&place),
    }
}

/// Adds whose the running server is, if this user may not look into it.
fn foreign_server() -> String {
    match running_server::foreign_owner() {
        Some(user) if owner::is_other_user(user) => {
            format!("; the running server is {}", owner::owned_by(user))
        }
        _ => String::new(),
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

/// Finds the running server of this program, with its data in `directory` if that is given.
///
/// `None` if there is none, or if there are several and this process's variables name one.
///
/// # Errors
/// None has its data there, or several are meant.
fn running(directory: Option<&Path>) -> Result<Option<Target>, Error> {
    let mut servers = RunningServer::all();
    if let Some(directory) = directory {
        let meant = directory.canonicalize().ok();
        servers.retain(|server| meant.is_some() && server.data_directory() == meant);
        if servers.is_empty() {
            return Err(Error::Other(format!(
                "no server is running with data in {}{}",
                directory.display(),
                foreign_server()
            )));
        }
    }
    match &servers[..] {
        [server] => Ok(Some(Target {
            config: server.configuration(),
            addr: server.flags().addr,
            environment: server.environment(),
        })),
        [] => Ok(None),
        _ if directory.is_none() && sources::has_variables() => Ok(None),
        several => {
            let directories = several.iter().filter_map(RunningServer::data_directory);
            Err(running_server::several(&directories.collect()))
        }
    }
}

impl Readiness {
    fn of(response: &Response<Bytes>) -> Self {
        let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        match (response.status(), body["checks"].as_object()) {
            (StatusCode::OK, _) => Self::Ready,
            (StatusCode::SERVICE_UNAVAILABLE, Some(checks)) => Self::Failing(
                checks
                    .iter()
                    .map(|(name, cause)| {
                        (name.clone(), cause.as_str().unwrap_or_default().to_owned())
                    })
                    .collect(),
            ),
            (status, _) => Self::Unknown(format!(
                "is not a registry: it responds with '{:?} {status}'",
                response.version()
            )),
        }
    }

    fn say(self, place: &str) -> Result<(), Error> {
        match self {
            Self::Ready => output::print(&format!("{place} is ready\n")),
            Self::Reachable => output::print(&format!(
                "{place} is up, but reports readiness only to clients with a certificate\n"
            )),
            Self::Failing(checks) => {
                let causes: Vec<_> = checks
                    .iter()
                    .map(|(name, cause)| format!("{name}: {cause}"))
                    .collect();
                Err(Error::Other(format!(
                    "{place} is not ready: {}",
                    causes.join("; ")
                )))
            }
            Self::Unknown(end) => Err(Error::Other(format!("{place} {end}"))),
        }
    }

    fn print(self, place: &str) -> Result<(), Error> {
        let (is_ready, checks) = match self {
            Self::Ready | Self::Reachable => (true, Vec::new()),
            Self::Failing(checks) => (false, checks),
            Self::Unknown(end) => (false, vec![("response".to_owned(), end)]),
        };
        let checks: Vec<_> = checks
            .iter()
            .map(|(name, reason)| json!({ "name": name, "reason": reason }))
            .collect();
        json::print(&json!({ "address": place, "ready": is_ready, "checks": checks }))?;
        if is_ready {
            Ok(())
        } else {
            Err(Error::Reported)
        }
    }
}
