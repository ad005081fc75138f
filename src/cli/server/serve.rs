//! `registry serve`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tarkeep::auth::Access;
use tarkeep::config::{Config, Loaded};
use tarkeep::health::Health;
use tarkeep::http::{AccessLog, Address, DebugServer, Server};
use tarkeep::import::TakeOver;
use tarkeep::registry::{KeptOpen, Registry};
use tarkeep::service_manager::Notifier;
use tarkeep::webhooks::Webhooks;
use tokio::task::JoinHandle;

use crate::cli::actor;
use crate::cli::configuration::Configuration;
use crate::cli::error::Error;
use crate::cli::from_config::check::Flags;
use crate::cli::from_config::upstreams::store_source;
use crate::cli::from_config::{auth, defaults, http, log, registry};
use crate::cli::owner;
use crate::cli::server::announce::{
    announce, cannot_bind, warn_open_to_network, warn_short_leases,
};
use crate::cli::server::connection_limit::connection_limit;
use crate::cli::server::reload::{Reloader, Witness};
use crate::cli::server::signals::{self, Signals};
use crate::cli::server::sockets::Inherited;
use crate::cli::server::token_source::RegistryTokens;
use crate::cli::server::upstreams::Recorder;
use crate::cli::server::{monitoring, parts, upstreams, webhooks};
use crate::cli::terminal::output::{Format, Output};

/// Threads for blocking work: enough to keep a disk busy with syncs, few enough that a burst of uploads does not need
/// hundreds of stacks.
const BLOCKING_THREADS: usize = 64;

/// Time, beside that of requests in flight, in which a stopping server has ended.
const LAST_WORK: Duration = Duration::from_secs(15);

/// Timeout for writing the last lines of the access log.
const LAST_LINES: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub config: Configuration,
    #[command(flatten)]
    pub flags: Flags,
    #[command(flatten)]
    output: Output,
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    // first, while their descriptors cannot have come to mean something else
    let inherited = Inherited::take()?;
    let flags = arguments.flags;
    let mut reloader = Reloader::open(
        defaults::configuration(arguments.config.path()),
        flags.clone(),
    )?;
    let log = log::start(&reloader.loaded().config)?;
    reloader
        .loaded()
        .notes
        .iter()
        .for_each(|note| tracing::warn!("{note}"));
    reloader.register(parts::log(log));
    let config = reloader.loaded().config.clone();
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
    let outcome = runtime.block_on(serve(
        &address,
        inherited,
        &directory,
        &config,
        reloader,
        arguments.output.format,
    ));
    // tasks still running belong to clients whose drain timeout has passed
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome
}

async fn serve(
    address: &Address,
    mut inherited: Inherited,
    directory: &Path,
    config: &Config,
    mut reloader: Reloader,
    format: Format,
) -> Result<(), Error> {
    // first of all, so that a signal during the start ends it too
    let (signals, hangup) = (Signals::listen()?, signals::hangup()?);
    signals::ignore_foreign()?;
    let registry = Registry::open(directory, registry::settings(config)?)
        .map_err(|failure| owner::explained(failure, directory))?;
    warn_short_leases(&registry.settings().retention);
    // logs a warning itself; pulls work without free disk
    let _ = registry.status().check_disk();
    let (_lock, presence) = join(&registry, reloader.loaded()).await?;
    let (rule, source) = (defaults::import_rule(config), store_source(config));
    let takeover = TakeOver::find(&registry, directory, rule, source).await?;
    let tokens = Arc::new(RegistryTokens::new(registry.clone()));
    let access = Access::open(auth::settings(config)?, tokens);
    let access = access.map_err(|error| auth::violations(&error))?;
    let monitoring = monitoring::start(config, reloader.reloads())?;
    let (health, access_log) = (monitoring.health.clone(), monitoring.access_log.clone());
    let http = http::settings(config, connection_limit(), None)?;
    let scheme = if http.tls.is_some() { "https" } else { "http" };
    let listener = inherited.main(address).await?;
    let addresses = listener.addresses();
    let addresses = addresses.map_err(|error| cannot_bind(address, &error))?;
    let server = Server::new(listener, registry.clone(), access.clone(), http, monitoring);
    let (server, recorder) = upstreams::add(server, &registry, config, &mut reloader).await?;
    reloader.register(parts::registry(registry.clone()));
    reloader.register(parts::access_log(access_log.clone()));
    reloader.register(parts::http(server.settings()));
    reloader.register(parts::access(access.clone(), addresses.clone()));
    let webhooks = webhooks::start(&registry, config, address, &mut reloader).await?;
    reloader.set_witness(recorded(registry.clone()));
    let debug = monitoring::debug_server(&config.http.debug, &server, inherited.debug()?).await?;
    announce(&addresses, scheme, directory, format);
    warn_if_open(&access, &addresses);
    // only now, because the first line on standard output is the announcement
    access_log.set_enabled(!config.log.accesslog.disabled);
    let notifier = Arc::new(Notifier::from_environment());
    let background = tokio::spawn(background(
        registry.clone(),
        takeover,
        health,
        access,
        webhooks.clone(),
        debug,
        Arc::clone(&notifier),
    ));
    let reloading = tokio::spawn(reloader.run(hangup));
    notifier.ready();
    let live = server.settings();
    let stop = async {
        shutdown(signals).await;
        webhooks.stop(live.get().limits.drain_timeout);
        // another server may take its place with other rules
        drop(presence);
        notifier.stopping(live.get().limits.drain_timeout + LAST_WORK);
    };
    if !server.run(stop).await {
        tracing::warn!("drain timeout reached: cutting off the requests that are left");
    }
    reloading.abort();
    end(background, &webhooks).await;
    finish(&registry, access_log, recorder).await;
    Ok(())
}

fn warn_if_open(access: &Access, addresses: &[Address]) {
    if access.is_open() {
        warn_open_to_network(addresses);
    }
}

/// Locks the directory, and joins its servers.
async fn join(registry: &Registry, loaded: &Loaded) -> Result<(KeptOpen, KeptOpen), Error> {
    let lock = registry.lock_serving()?;
    let presence = registry.join_servers(loaded.shared_sections());
    Ok((lock, presence.await?))
}

/// Returns a witness of reloads that records their sections, and writes them to the audit log.
fn recorded(registry: Registry) -> Witness {
    let runtime = tokio::runtime::Handle::current();
    Box::new(move |loaded, keys| {
        let sections = registry.record_sections(loaded.shared_sections());
        if let Err(error) = runtime.block_on(sections) {
            tracing::warn!(%error, "cannot record which sections the configuration has");
        }
        runtime.block_on(audit(&registry, &keys.join(", ")));
    })
}

/// Writes to the audit log that the server took a configuration.
async fn audit(registry: &Registry, keys: &str) {
    let taken = registry.audit();
    let taken = taken.record_configuration(actor::local_user(), keys.to_owned());
    if let Err(error) = taken.await {
        tracing::warn!(%error, "cannot write to the audit log that a configuration was taken");
    }
}

/// Runs everything but requests, until it is dropped.
async fn background(
    registry: Registry,
    takeover: Option<TakeOver>,
    health: Health,
    access: Access,
    webhooks: Webhooks,
    debug: Option<DebugServer>,
    notifier: Arc<Notifier>,
) {
    let debug = async {
        if let Some(debug) = debug {
            debug.run().await;
        }
    };
    let work = async {
        audit(&registry, "start").await;
        // first, because collection would judge what is not complete
        if let Some(takeover) = takeover {
            takeover.run(&registry).await;
        }
        tarkeep::background::run(&registry).await;
    };
    tokio::join!(
        work,
        health.run(&registry),
        access.watch(),
        webhooks.run(&registry),
        notifier.keep_alive(),
        debug
    );
}

/// Ends background work before the runtime ends, once the attempts of webhooks have; its result is irrelevant.
async fn end(mut background: JoinHandle<()>, webhooks: &Webhooks) {
    tokio::select! {
        () = webhooks.ended() => {
            background.abort();
            let _ = background.await;
        }
        _ = &mut background => {}
    }
}

/// Completes on the first signal; the second one exits the process.
async fn shutdown(mut signals: Signals) {
    let name = signals.next().await;
    tracing::info!(
        signal = name,
        "shutting down: waiting for requests in flight; a second signal exits immediately"
    );
    tokio::spawn(async move {
        signals.next().await;
        tarkeep::log::flush();
        std::process::exit(1);
    });
}

/// Writes what is still in memory: counts of pulls and of upstreams, events, and the access log.
async fn finish(registry: &Registry, access_log: AccessLog, recorder: Recorder) {
    recorder.end().await;
    if let Err(error) = registry.manifests().record_uses().await {
        tracing::warn!(%error, "cannot record the last pulls");
    }
    if let Err(error) = registry.tokens().record_uses().await {
        tracing::warn!(%error, "cannot record the last uses of tokens");
    }
    if let Err(error) = registry.outbox().write_notes().await {
        tracing::warn!(%error, "cannot write the last events about pulls");
    }
    let _ = tokio::task::spawn_blocking(move || access_log.flush(LAST_LINES)).await;
}
