//! `registry health`: readiness of the running server, for a container's health check.

use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::http::{Response, StatusCode};
use bytes::Bytes;
use clap::Parser;
use serde_json::Value;
use tarkeep::config::{Config, Loaded};
use tarkeep::health::{Endpoint, readiness};
use tarkeep::http::Address;
use tarkeep::tls::unverified_client;

use crate::cli::docker_entrypoint;
use crate::cli::error::Error;
use crate::cli::from_config::{defaults, http, tls};
use crate::cli::server::serve;
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
    let endpoint = reachable(address);
    let place = match &endpoint {
        Endpoint::Tcp(address) => format!("{scheme}://{address}"),
        Endpoint::Unix(path) => format!("{scheme}://{}", path.display()),
    };
    let tls = is_encrypted.then(unverified_client).transpose();
    let tls = tls.map_err(|error| Error::Other(error.to_string()))?;
    match tokio::time::timeout(PATIENCE, readiness(&endpoint, tls)).await {
        Ok(Ok(response)) => report(&place, &response),
        Ok(Err(error)) if error.is_asked_for_certificate() => output::print(
            format!("{place} is up, but reports readiness only to clients with a certificate\n")
                .as_bytes(),
        ),
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

/// The command line of a server.
#[derive(Parser)]
enum Server {
    Serve(serve::Arguments),
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
    let own = std::env::current_exe().ok()?;
    let processes = std::fs::read_dir("/proc")
        .ok()?
        .filter_map(Result::ok)
        .map(|entry| entry.path());
    let mut servers = processes
        .filter(|process| std::fs::read_link(process.join("exe")).is_ok_and(|exe| exe == own))
        .filter_map(|process| server(&process));
    servers.next().filter(|_| servers.next().is_none())
}

/// Returns the command line and environment of a process, if it is a server.
fn server(process: &Path) -> Option<Target> {
    let words = |name: &str| -> Option<Vec<OsString>> {
        let text = std::fs::read(process.join(name)).ok()?;
        Some(
            text.split(|&byte| byte == 0)
                .filter(|word| !word.is_empty())
                .map(|word| OsStr::from_bytes(word).to_owned())
                .collect(),
        )
    };
    let given = docker_entrypoint::arguments(words("cmdline")?.into_iter());
    let Server::Serve(serve::Arguments { config, addr, .. }) =
        Server::try_parse_from(given).ok()?;
    let variable = |word: &OsString| {
        let at = word.as_bytes().iter().position(|&byte| byte == b'=')?;
        Some((
            OsStr::from_bytes(&word.as_bytes()[..at]).to_owned(),
            OsStr::from_bytes(&word.as_bytes()[at + 1..]).to_owned(),
        ))
    };
    let environment: Vec<_> = words("environ")?.iter().filter_map(variable).collect();
    let named = environment
        .iter()
        .find(|(name, value)| name == tarkeep::config::FILE_VARIABLE && !value.is_empty());
    let named = named.map(|(_, value)| PathBuf::from(value));
    // relative to the server's working directory
    let config = config.or(named).map(|path| {
        process
            .join("cwd")
            .read_link()
            .unwrap_or_default()
            .join(path)
    });
    Some(Target {
        config,
        addr,
        environment,
    })
}

/// Returns the endpoint at which a local client reaches a server that listens on `address`.
fn reachable(address: Address) -> Endpoint {
    match address {
        Address::Tcp(address) if address.ip().is_unspecified() => Endpoint::Tcp(SocketAddr::new(
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            address.port(),
        )),
        Address::Tcp(address) => Endpoint::Tcp(address),
        Address::Unix(path) => Endpoint::Unix(path),
    }
}

fn report(place: &str, response: &Response<Bytes>) -> Result<(), Error> {
    let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    match (response.status(), body["checks"].as_object()) {
        (StatusCode::OK, _) => output::print(format!("{place} is ready\n").as_bytes()),
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
