//! `registry serve`.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::time::Duration;

use tarkeep::auth::Access;
use tarkeep::config::Config;
use tarkeep::http::{Address, Server};
use tarkeep::registry::{Registry, Retention};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::error::Error;
use crate::cli::from_config::check::Flags;
use crate::cli::from_config::{auth, defaults, http, log, registry};
use crate::cli::server::monitoring;
use crate::cli::server::reload::Live;

/// File descriptors kept for the database, blobs being published and the system.
const SPARE_DESCRIPTORS: u64 = 128;

/// Leases below this are for tests.
const SHORTEST_LEASE: Duration = Duration::from_secs(60);

/// Threads for what waits for the disk or computes: enough to keep a disk busy with syncs, few enough that a burst of
/// uploads does not pay for hundreds of stacks.
const BLOCKING_THREADS: usize = 64;

/// How long the last lines of the access log may take to be read.
const LAST_LINES: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A configuration in distribution's format; everything in it has a default [default: $REGISTRY_CONFIGURATION_PATH]
    #[arg(value_name = "CONFIG.yml")]
    pub config: Option<PathBuf>,
    /// Where to listen; :PORT opens the registry to the network [default: 127.0.0.1:5000]
    #[arg(long, value_name = "HOST:PORT")]
    pub addr: Option<String>,
    /// Where to keep everything [default: /var/lib/registry if it is writable, else ~/.local/share/registry]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    let flags = Flags {
        addr: arguments.addr,
        data_dir: arguments.data_dir,
    };
    let mut live = Live::open(defaults::configuration(arguments.config), flags.clone())?;
    let log = log::start(&live.loaded().config)?;
    live.loaded()
        .notes
        .iter()
        .for_each(|note| tracing::warn!("{note}"));
    live.add(move |config| {
        let (log, level) = (log.clone(), log::level(config.level()));
        Ok(Box::new(move || log.set_level(level)))
    });
    let config = live.loaded().config.clone();
    let address = http::address(flags.addr.as_deref(), &config.http)?;
    let directory = defaults::data_directory(flags.data_dir.as_deref(), &config)?;
    defaults::check_foreign_store(&directory, &config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .thread_name("worker")
        .build();
    let runtime =
        runtime.map_err(|error| Error::Other(format!("cannot start threads: {error}")))?;
    let outcome = runtime.block_on(serve(&address, directory, &config, live));
    // what is still running belongs to clients that were waited for long enough
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome
}

async fn serve(
    address: &Address,
    directory: PathBuf,
    config: &Config,
    mut live: Live,
) -> Result<(), Error> {
    // before anything else: a signal during the start must end it as well
    let deaf = |error| Error::Other(format!("cannot listen for signals: {error}"));
    let mut signals = Signals::listen().map_err(deaf)?;
    let hangup = signal(SignalKind::hangup()).map_err(deaf)?;
    let registry = Registry::open(&directory, registry::settings(config)?)?;
    warn_of_short_leases(&registry.settings().retention);
    // which says itself what is wrong; pulls need no room
    let _ = registry.status().check_disk_reserve();
    let _serving = registry.lock_serving()?;
    live.add({
        let registry = registry.clone();
        move |config| {
            let (registry, settings) = (registry.clone(), registry::settings(config)?);
            Ok(Box::new(move || registry.set_settings(settings)))
        }
    });
    let access = Access::open(auth::settings(config)?).map_err(|error| auth::violations(&error))?;
    let monitoring = monitoring::start(config, live.reloads())?;
    let (health, access_log) = (monitoring.health.clone(), monitoring.access_log.clone());
    live.add({
        let access_log = access_log.clone();
        move |config| {
            let (access_log, is_logged) = (access_log.clone(), !config.log.accesslog.disabled);
            Ok(Box::new(move || access_log.set_enabled(is_logged)))
        }
    });
    let http = http::settings(&config.http, connection_limit(), None)?;
    let is_encrypted = http.tls.is_some();
    let server = Server::bind(address, registry.clone(), access.clone(), http, monitoring).await;
    let server = server.map_err(|error| cannot_bind(address, &error))?;
    live.add({
        let settings = server.settings();
        move |config| {
            let (settings, next) = (
                settings.clone(),
                http::settings(&config.http, usize::MAX, Some(&settings.get()))?,
            );
            Ok(Box::new(move || {
                // what stays in force looks after its own files; now is as good a time as any
                next.tls.iter().for_each(|tls| tls.refresh_files());
                settings.replace(next);
            }))
        }
    });
    let address = server
        .address()
        .map_err(|error| cannot_bind(address, &error))?;
    live.add({
        let (access, address) = (access.clone(), address.clone());
        move |config| {
            let prepared = access
                .prepare(auth::settings(config)?)
                .map_err(|error| auth::violations(&error))?;
            let (access, address) = (access.clone(), address.clone());
            Ok(Box::new(move || {
                let was_open = access.is_open();
                access.replace(prepared);
                if access.is_open() && !was_open {
                    warn_of_strangers(&address);
                }
            }))
        }
    });
    let debug = monitoring::debug_server(&config.http.debug, &server).await?;
    announce(&address, is_encrypted, &directory);
    if access.is_open() {
        warn_of_strangers(&address);
    }
    // only now: the first line on standard output is the announcement
    access_log.set_enabled(!config.log.accesslog.disabled);
    let working = tokio::spawn({
        let (registry, access) = (registry.clone(), access.clone());
        async move {
            let debug = async {
                if let Some(debug) = debug {
                    debug.run().await;
                }
            };
            tokio::join!(
                tarkeep::background::run(&registry),
                health.run(&registry),
                access.watch(),
                debug
            );
        }
    });
    let watching = tokio::spawn(live.run(hangup));
    let drained = server.run(async move {
        let name = signals.next().await;
        tracing::info!(
            signal = name,
            "stopping: finishing requests in flight; a second signal ends at once"
        );
        tokio::spawn(async move {
            signals.next().await;
            tarkeep::log::flush();
            std::process::exit(1);
        });
    });
    if !drained.await {
        tracing::warn!("some requests did not end in time and are cut off");
    }
    watching.abort();
    working.abort();
    // so that nothing of it meets the end of the threads it needs; how it ended is of no interest
    let _ = working.await;
    if let Err(error) = registry.manifests().record_pulls().await {
        tracing::warn!(%error, "the last pulls could not be recorded");
    }
    let _ = tokio::task::spawn_blocking(move || access_log.flush(LAST_LINES)).await;
    Ok(())
}

/// The one line that says where everything is.
fn announce(address: &Address, is_encrypted: bool, directory: &std::path::Path) {
    let scheme = if is_encrypted { "https" } else { "http" };
    let place = match address {
        Address::Tcp(address) => format!("{scheme}://{address}"),
        Address::Unix(path) => format!("{scheme}+unix://{}", path.display()),
    };
    let mut out = std::io::stdout();
    // nobody listening to it is no reason not to serve
    let _ = writeln!(out, "listening on {place}, data in {}", directory.display())
        .and_then(|()| out.flush());
}

/// For a registry that asks nobody who they are.
fn warn_of_strangers(address: &Address) {
    if let Address::Tcp(address) = address
        && !address.ip().is_loopback()
    {
        tracing::warn!(
            "open to the network without a login: whoever reaches {address} may push and delete"
        );
    }
}

/// What a push has uploaded, or has been told of, must stay until its manifest comes.
fn warn_of_short_leases(retention: &Retention) {
    let held = retention.lease.max(retention.grace);
    if retention.enabled && held < SHORTEST_LEASE {
        let held = humantime::format_duration(held);
        tracing::warn!(
            "gc.lease and gc.grace keep what a push has uploaded for {held} only: pushes that take longer may fail"
        );
    }
}

fn cannot_bind(address: &Address, error: &std::io::Error) -> Error {
    let remedy = match (address, error.kind()) {
        (Address::Tcp(_), ErrorKind::AddrInUse) => {
            "another program listens there, so stop it or choose another port with --addr"
        }
        (Address::Tcp(_), ErrorKind::PermissionDenied) => {
            "ports below 1024 are for root, so choose another one with --addr"
        }
        (Address::Tcp(_), _) => "choose an address of this machine with --addr",
        (Address::Unix(_), ErrorKind::AddrInUse) => {
            "another server listens there, or it is no socket, so choose another path in http.addr"
        }
        (Address::Unix(_), _) => {
            "http.addr must name a file in a directory that exists and that this user may write to"
        }
    };
    Error::Other(format!("cannot listen on {address}: {error}; {remedy}"))
}

/// How many connections there are files for, once the limit is raised as far as it goes: each may need one for itself and
/// one for a blob.
fn connection_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    );
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let connections = (files.saturating_sub(SPARE_DESCRIPTORS) / 2).max(1);
    usize::try_from(connections).unwrap_or(usize::MAX)
}

/// The signals that end a server.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
