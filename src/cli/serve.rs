//! `registry serve`.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use registry::config::{Config, Level};
use registry::http::{Limits, Server};
use registry::registry::{Registry, Retention};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, place, settings};

/// File descriptors kept for the database, blobs being published and the system.
const SPARE_DESCRIPTORS: u64 = 128;

/// Leases below this are for tests.
const SHORTEST_LEASE: Duration = Duration::from_secs(60);

/// Threads for what waits for the disk or computes: enough to keep a disk busy with syncs, few enough that a burst of
/// uploads does not pay for hundreds of stacks.
const BLOCKING_THREADS: usize = 64;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// A configuration in distribution's format; everything in it has a default
    #[arg(value_name = "CONFIG.yml")]
    config: Option<PathBuf>,
    /// Where to listen; :PORT opens the registry to the network [default: 127.0.0.1:5000]
    #[arg(long, value_name = "HOST:PORT")]
    addr: Option<String>,
    /// Where to keep everything [default: /var/lib/registry if it is writable, else ~/.local/share/registry]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let (config, foreign) = Config::load(arguments.config, std::env::vars_os())?;
    start_log(config.log.level);
    for name in foreign {
        tracing::warn!("the variable {name} names no section of the configuration and is passed over");
    }
    let address = place::listen_address(arguments.addr.as_deref().or(config.http.addr.as_deref()))?;
    let directory = place::data_directory(arguments.data_dir, &config)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().max_blocking_threads(BLOCKING_THREADS).enable_all().thread_name("worker").build();
    let runtime = runtime.map_err(|error| Failure::Other(format!("cannot start threads: {error}")))?;
    let outcome = runtime.block_on(serve(address, directory, &config));
    // what is still running belongs to clients that were waited for long enough
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome
}

async fn serve(address: SocketAddr, directory: PathBuf, config: &Config) -> Result<(), Failure> {
    // before anything else: a signal during the start must end it as well
    let mut signals = Signals::listen().map_err(|error| Failure::Other(format!("cannot listen for signals: {error}")))?;
    let registry = Registry::open(&directory, settings::of(config)?)?;
    warn_of_short_leases(&registry.settings().retention);
    let _serving = registry.lock_serving()?;
    let mut limits = Limits { connections: connection_limit(), ..Limits::default() };
    if let Some(drain) = config.http.draintimeout {
        limits.drain_timeout = drain.0;
    }
    let server = Server::bind(address, registry.clone(), limits).await.map_err(|error| cannot_bind(address, &error))?;
    let address = server.local_address().map_err(|error| cannot_bind(address, &error))?;
    announce(address, &directory);
    let working = tokio::spawn({
        let registry = registry.clone();
        async move { registry::collector::run(&registry).await }
    });
    let drained = server.run(async move {
        let name = signals.next().await;
        tracing::info!(signal = name, "stopping: finishing requests in flight; a second signal ends at once");
        tokio::spawn(async move {
            signals.next().await;
            std::process::exit(1);
        });
    });
    if !drained.await {
        tracing::warn!("some requests did not end in time and are cut off");
    }
    working.abort();
    // so that nothing of it meets the end of the threads it needs; how it ended is of no interest
    let _ = working.await;
    if let Err(error) = registry.record_pulls().await {
        tracing::warn!(%error, "the last pulls could not be recorded");
    }
    Ok(())
}

/// The one line that says where everything is.
fn announce(address: SocketAddr, directory: &std::path::Path) {
    let mut out = std::io::stdout();
    // nobody listening to it is no reason not to serve
    let _ = writeln!(out, "listening on http://{address}, data in {}", directory.display()).and_then(|()| out.flush());
    if !address.ip().is_loopback() {
        tracing::warn!("open to the network without a login: whoever reaches {address} may push and delete");
    }
}

/// What a push has uploaded, or has been told of, must stay until its manifest comes.
fn warn_of_short_leases(retention: &Retention) {
    let held = retention.lease.max(retention.grace);
    if retention.enabled && held < SHORTEST_LEASE {
        let held = humantime::format_duration(held);
        tracing::warn!("gc.lease and gc.grace keep what a push has uploaded for {held} only: pushes that take longer may fail");
    }
}

fn cannot_bind(address: SocketAddr, error: &std::io::Error) -> Failure {
    let remedy = match error.kind() {
        ErrorKind::AddrInUse => "another program listens there, so stop it or choose another port with --addr",
        ErrorKind::PermissionDenied => "ports below 1024 are for root, so choose another one with --addr",
        _ => "choose an address of this machine with --addr",
    };
    Failure::Other(format!("cannot listen on {address}: {error}; {remedy}"))
}

/// Raises the limit of open files as far as it goes; a connection may need one for itself and one for a blob.
fn connection_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let connections = (files.saturating_sub(SPARE_DESCRIPTORS) / 2).max(1);
    usize::try_from(connections).unwrap_or(usize::MAX).min(Limits::default().connections)
}

/// The signals that end a server.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

pub(super) fn start_log(level: Level) {
    let level = match level {
        Level::Error => tracing::Level::ERROR,
        Level::Warn => tracing::Level::WARN,
        Level::Info => tracing::Level::INFO,
        Level::Debug => tracing::Level::DEBUG,
    };
    // without the feature, asking for colours is an error of its own, at a terminal only
    tracing_subscriber::fmt().with_max_level(level).with_target(false).with_ansi(false).with_writer(std::io::stderr).init();
}
