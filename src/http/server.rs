//! Connections: accepting, limiting, draining.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::App;
use super::allowance::Everybody;
use super::crowd::Crowd;
use super::failed::Failed;
use super::listener::{Address, Listener};
use super::protocol::{self, Context};
use super::remarks::Remarks;
use super::settings::Settings;
use super::stream::Socket;
use super::watch::{Monitoring, Watch};
use crate::auth::Access;
use crate::registry::Registry;

/// How long accepting pauses after the system refused a connection, for want of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often the files of certificates are looked at.
const CERTIFICATE_INTERVAL: Duration = Duration::from_secs(1);

/// The most that is read from a connection at once, and so the largest head of a request, in bytes. It is what a fast
/// upload costs in memory, a few times over.
pub(super) const CONNECTION_BUFFER: usize = 128 << 10;

/// A bound socket, and the registry to be served on it.
pub struct Server {
    listener: Listener,
    registry: Registry,
    access: Access,
    settings: Live,
    watch: Watch,
}

/// The settings of a server, which may change while it runs.
#[derive(Clone)]
pub struct Live(Arc<ArcSwap<Settings>>);

impl Live {
    /// Replaces all settings. Limits, and what is spoken, are those of the connections from now on; the rest of the
    /// requests. The number of connections stays as it was at the start.
    pub fn replace(&self, settings: Settings) {
        self.0.store(Arc::new(settings));
    }

    /// The settings in force.
    #[must_use]
    pub fn get(&self) -> Arc<Settings> {
        self.0.load_full()
    }

    pub(super) fn look(&self) -> arc_swap::Guard<Arc<Settings>> {
        self.0.load()
    }
}

impl Server {
    /// Binds `address`.
    ///
    /// # Errors
    /// A taken port, an address that is not this machine's, and what else the system says.
    pub async fn bind(
        address: &Address,
        registry: Registry,
        access: Access,
        settings: Settings,
        monitoring: Monitoring,
    ) -> io::Result<Self> {
        let settings = Live(Arc::new(ArcSwap::from_pointee(settings)));
        let watch = Watch::new(
            registry.clone(),
            access.clone(),
            settings.clone(),
            monitoring,
        );
        Ok(Self {
            listener: Listener::bind(address).await?,
            registry,
            access,
            settings,
            watch,
        })
    }

    /// Where it listens; tells the port where any was asked for.
    pub fn address(&self) -> io::Result<Address> {
        self.listener.address()
    }

    /// What is seen of the server, for a [`super::DebugServer`].
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// By which the settings can be changed while the server runs.
    #[must_use]
    pub fn settings(&self) -> Live {
        self.settings.clone()
    }

    /// Serves until `stop` is done, then finishes the requests in flight. False where they took too long.
    pub async fn run(self, stop: impl Future<Output = ()>) -> bool {
        crate::sys::keep_buffers();
        let (settings, watch) = (self.settings.clone(), self.watch.clone());
        let router = super::router(App {
            registry: self.registry,
            access: self.access,
            settings,
            watch,
            failed: Failed::default(),
        });
        let places = Arc::new(Semaphore::new(self.settings.look().limits.connections));
        let crowd = Crowd::default();
        let remarks: Arc<Remarks> = Arc::default();
        let everybody = Everybody::default();
        let (stopping, is_stopping) = watch::channel(false);
        let renewal = tokio::spawn(renew_certificates(self.settings.clone()));
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = accept(&self.listener, &places, &self.settings) => accepted,
                () = &mut stop => break,
            };
            let (socket, address, place) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let settings = self.settings.get();
            // a proxy's connections are those of all its clients
            let counted = address.filter(|_| !settings.proxies.contains(address));
            let Some(seat) = crowd.admit(counted, settings.limits.connections_per_address) else {
                continue;
            };
            let open = self.watch.observer.metrics.open_connection();
            let (remarks, stopping) = (Arc::clone(&remarks), is_stopping.clone());
            let live = self.settings.clone();
            let context = Context {
                router: router.clone(),
                settings,
                live,
                address,
                remarks,
                seat,
                allowance: everybody.connection(),
                stopping,
            };
            tokio::spawn(async move {
                // a client that breaks off is its own affair; what it broke off is reported by its request
                if let Err(error) = protocol::serve(socket, context).await {
                    tracing::debug!(%error, "a connection ended early");
                }
                drop((place, open));
            });
        }
        // for the debug port, which goes on
        self.watch.readiness.drain();
        drop((self.listener, is_stopping));
        renewal.abort();
        stopping.send_replace(true);
        // every connection has a receiver
        tokio::time::timeout(self.settings.look().limits.drain_timeout, stopping.closed())
            .await
            .is_ok()
    }
}

/// Has certificates read again whose files have changed.
async fn renew_certificates(settings: Live) {
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
    places: &Arc<Semaphore>,
    settings: &Live,
) -> io::Result<(Socket, Option<std::net::IpAddr>, OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (socket, client) = listener
        .accept(|| settings.look().limits.idle_timeout)
        .await?;
    Ok((socket, client, place))
}
