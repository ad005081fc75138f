//! `registry health`: readiness of the running server, for a container's health check.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use serde_json::Value;
use tarkeep::config::{Config, Loaded};
use tarkeep::http::Address;
use tarkeep::tls::{Probe, is_asked_for_certificate};

use crate::cli::docker_entrypoint;
use crate::cli::error::Error;
use crate::cli::from_config::{defaults, http, tls};
use crate::cli::server::serve;
use crate::cli::terminal::output;
use crate::cli::terminal::values::plain;

/// Timeout of each step.
const PATIENCE: Duration = Duration::from_secs(5);

/// Maximum size of the response, in bytes.
const LARGEST: u64 = 64 << 10;

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

pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
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
    let place = format!(
        "{}{}",
        if is_encrypted { "https://" } else { "http://" },
        reachable(&address)
    );
    match ask(&address, is_encrypted) {
        Ok(answer) => tell(&place, &answer),
        Err(error) if is_asked_for_certificate(&error) => output::print(
            format!("{place} is up, but reports readiness only to clients with a certificate\n")
                .as_bytes(),
        ),
        Err(error) => Err(Error::Other(format!("{place} does not respond: {error}"))),
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

/// Returns the address at which a local client reaches the server.
fn reachable(address: &Address) -> Address {
    match address {
        Address::Tcp(address) if address.ip().is_unspecified() => Address::Tcp(SocketAddr::new(
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            address.port(),
        )),
        other => other.clone(),
    }
}

fn ask(address: &Address, is_encrypted: bool) -> io::Result<String> {
    match reachable(address) {
        Address::Tcp(address) => {
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            exchange(stream, is_encrypted)
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            exchange(stream, is_encrypted)
        }
    }
}

fn exchange(stream: impl Read + Write, is_encrypted: bool) -> io::Result<String> {
    if is_encrypted {
        read(Probe::over(stream)?)
    } else {
        read(stream)
    }
}

fn read(mut stream: impl Read + Write) -> io::Result<String> {
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(LARGEST).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn tell(place: &str, answer: &str) -> Result<(), Error> {
    let status = answer.split(' ').nth(1).unwrap_or_default();
    let body: Value = answer
        .split_once("\r\n\r\n")
        .and_then(|(_, body)| serde_json::from_str(body).ok())
        .unwrap_or_default();
    match (status, body["checks"].as_object()) {
        ("200", _) => output::print(format!("{place} is ready\n").as_bytes()),
        ("503", Some(checks)) => {
            let said: Vec<_> = checks
                .iter()
                .map(|(name, problem)| format!("{name}: {}", problem.as_str().unwrap_or_default()))
                .collect();
            Err(Error::Other(format!(
                "{place} is not ready: {}",
                said.join("; ")
            )))
        }
        _ => Err(Error::Other(format!(
            "{place} is not a registry: it responds with '{}'",
            plain(answer.lines().next().unwrap_or_default())
        ))),
    }
}
