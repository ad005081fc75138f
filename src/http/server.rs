//! Accepting of connections, their limits, and draining at shutdown.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{AbortHandle, AbortRegistration, Abortable, join_all};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::auth::Access;
use crate::http::api::request::upstream_ways::UpstreamListener;
use crate::http::app::{App, ListenerApp};
use crate::http::connection::head_budget::HeadBudget;
use crate::http::connection::listener::Listener;
use crate::http::connection::per_address::AddressLimiter;
use crate::http::connection::send_budget::TotalBudget;
use crate::http::connection::serve::{self, Application, Context};
use crate::http::connection::stream::Socket;
use crate::http::connection::warnings::ConnectionWarnings;
use crate::http::observe::metrics::process;
use crate::http::observe::monitoring::{Monitor, Monitoring};
use crate::http::settings::{LiveSettings, ServerSettings};
use crate::mirror::Mirrors;
use crate::oci::RepositoryName;
use crate::registry::Registry;
use crate::threads::blocking;

/// Pause before accepting again after the system refused, for want of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Interval at which memory is returned to the system.
const MEMORY_INTERVAL: Duration = Duration::from_secs(10);
/// Memory in use, in bytes, up to which nothing is returned.
const MEMORY_KEPT: u64 = 48 << 20;

/// Interval at which the files of certificates are checked.
const CERTIFICATE_INTERVAL: Duration = Duration::from_secs(1);

/// Bound sockets and the registry to serve on them.
pub struct Server {
    /// Each with the upstream that it leads to, if any.
    listeners: Vec<(Listener, Option<UpstreamListener>)>,
    registry: Registry,
    access: Access,
    settings: LiveSettings,
    monitor: Monitor,
    mirrors: Mirrors,
}

impl Server {
    /// Creates a server that accepts from `listener`.
    #[must_use]
    pub fn new(
        listener: Listener,
        registry: Registry,
        access: Access,
        settings: ServerSettings,
        monitoring: Monitoring,
    ) -> Self {
        let settings = LiveSettings::new(settings);
        let monitor = Monitor::new(
            registry.clone(),
            access.clone(),
            settings.clone(),
            monitoring,
        );
        Self {
            listeners: vec![(listener, None)],
            registry,
            access,
            settings,
            monitor,
            mirrors: Mirrors::default(),
        }
    }

    /// Adds mirrors of other registries.
    #[must_use]
    pub fn with_mirrors(mut self, mirrors: Mirrors) -> Self {
        self.monitor.mirrors = mirrors.clone();
        Self { mirrors, ..self }
    }

    /// Adds a listener that shows one upstream alone, whose repositories are below `prefix`.
    pub fn add_upstream_listener(&mut self, listener: Listener, prefix: RepositoryName) {
        let upstream_listener = UpstreamListener(Arc::new(prefix));
        self.listeners.push((listener, Some(upstream_listener)));
    }

    /// Returns the monitor of this server, for a [`crate::http::DebugServer`].
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        self.monitor.clone()
    }

    /// Returns a handle that replaces the settings while the server runs.
    #[must_use]
    pub fn settings(&self) -> LiveSettings {
        self.settings.clone()
    }

    /// Serves until `stop` completes, then finishes the requests in flight. Returns false if they took too long.
    pub async fn run(self, stop: impl Future<Output = ()>) -> bool {
        crate::sys::keep_buffers();
        let budget = TotalBudget::default();
        let app = Arc::new(App::new(
            self.registry,
            self.access,
            self.settings.clone(),
            self.monitor.clone(),
            self.mirrors,
            &budget,
        ));
        let (stopping, is_stopping) = watch::channel(false);
        let acceptor = Acceptor {
            slots: Arc::new(Semaphore::new(self.settings.load().limits.connections)),
            limiter: AddressLimiter::default(),
            warnings: Arc::default(),
            heads: HeadBudget::default(),
            budget,
            settings: self.settings.clone(),
            monitor: self.monitor.clone(),
            is_stopping,
        };
        let upkeep = tokio::spawn(keep_up(self.settings.clone()));
        let accepting = self.listeners.iter().map(|(listener, upstream_listener)| {
            let (app, upstream_listener) = (Arc::clone(&app), upstream_listener.clone());
            acceptor.admit(
                listener,
                ListenerApp {
                    app,
                    upstream_listener,
                },
            )
        });
        tokio::select! {
            _ = join_all(accepting) => {}
            () = stop => {}
        }
        // the debug port stays open
        self.monitor.readiness.drain();
        drop((self.listeners, acceptor));
        upkeep.abort();
        stopping.send_replace(true);
        // every connection holds a receiver
        tokio::time::timeout(self.settings.load().limits.drain_timeout, stopping.closed())
            .await
            .is_ok()
    }
}

/// Limits and budgets that the connections of all listeners share.
struct Acceptor {
    slots: Arc<Semaphore>,
    limiter: AddressLimiter,
    warnings: Arc<ConnectionWarnings>,
    heads: HeadBudget,
    budget: TotalBudget,
    settings: LiveSettings,
    monitor: Monitor,
    is_stopping: watch::Receiver<bool>,
}

impl Acceptor {
    /// Accepts connections until it is dropped.
    async fn admit(&self, listener: &Listener, app: ListenerApp) {
        loop {
            match accept(listener, &self.slots, &self.settings).await {
                Ok((socket, address, slot)) => self.receive(socket, address, slot, app.clone()),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Serves a connection in the background, unless its address has too many.
    fn receive(
        &self,
        socket: Socket,
        address: Option<IpAddr>,
        slot: OwnedSemaphorePermit,
        app: ListenerApp,
    ) {
        let settings = self.settings.get();
        // a proxy's connections are those of all its clients
        let counted = address.filter(|_| !settings.proxies.contains(address));
        let permit = self
            .limiter
            .admit(counted, settings.limits.connections_per_address);
        let Some(permit) = permit else {
            return;
        };
        let open = self.monitor.observer.metrics.open_connection();
        let (end, is_ended) = AbortHandle::new_pair();
        let context = Context {
            app,
            settings,
            live: self.settings.clone(),
            address,
            warnings: Arc::clone(&self.warnings),
            permit,
            budget: self.budget.connection(end),
            heads: self.heads.of(counted),
            stopping: self.is_stopping.clone(),
        };
        tokio::spawn(async move {
            run_connection(socket, context, is_ended).await;
            drop((slot, open));
        });
    }
}

/// Serves a connection until it ends, or is ended.
async fn run_connection<A: Application>(
    socket: Socket,
    context: Context<A>,
    is_ended: AbortRegistration,
) {
    // a client may disconnect; what that interrupted is reported by its request
    let connection = Abortable::new(serve::serve(socket, context), is_ended);
    if let Ok(Err(error)) = connection.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Works beside the connections until it is dropped.
async fn keep_up(settings: LiveSettings) {
    tokio::join!(renew_certificates(settings), return_memory());
}

/// Returns memory to the system that a burst of requests has left with the allocator.
async fn return_memory() {
    let mut interval = tokio::time::interval(MEMORY_INTERVAL);
    loop {
        interval.tick().await;
        if process::memory_without_files().is_some_and(|bytes| bytes > MEMORY_KEPT) {
            // ends early only if it panics
            let _ = blocking::run(crate::sys::release_memory).await;
        }
    }
}

/// Reloads certificates whose files have changed.
async fn renew_certificates(settings: LiveSettings) {
    let mut interval = tokio::time::interval(CERTIFICATE_INTERVAL);
    loop {
        interval.tick().await;
        if let Some(tls) = settings.get().tls.clone() {
            tls.refresh().await;
        }
    }
}

async fn accept(
    listener: &Listener,
    slots: &Arc<Semaphore>,
    settings: &LiveSettings,
) -> io::Result<(Socket, Option<IpAddr>, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (socket, client) = listener
        .accept(|| settings.load().limits.idle_timeout)
        .await?;
    Ok((socket, client, slot))
}
