//! Whether the server is well, by what its owner wants looked at from time to time: distribution's `health` section.
//!
//! A caller of the operations, beside HTTP and the command line. [`crate::http`] refuses requests while a check fails.

mod web;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::future::join_all;
use tokio::net::TcpStream;

use crate::registry::Registry;
pub use web::Web;

/// Something to be looked at again and again.
#[derive(Debug)]
pub struct Check {
    /// By which it is reported.
    pub name: String,
    pub probe: Probe,
    /// How long to rest between two looks.
    pub interval: Duration,
    /// How many failures in a row count; at least one.
    pub threshold: u32,
}

/// What is looked at.
#[derive(Debug)]
pub enum Probe {
    /// Whether facts and files can be read.
    Storage,
    /// That there is no such file.
    File(PathBuf),
    /// That a `HEAD` is answered as expected.
    Web(Box<Web>),
    /// That a connection to `HOST:PORT` is accepted in time.
    Tcp { address: String, timeout: Duration },
}

/// All checks, and how they went; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    checks: Vec<Watched>,
    /// How many fail.
    failing: AtomicUsize,
}

#[derive(Debug)]
struct Watched {
    check: Check,
    /// What is wrong, once it has been often enough.
    failure: ArcSwapOption<String>,
}

impl Health {
    /// Nothing fails before it has been looked at.
    pub fn new(checks: Vec<Check>) -> Self {
        let checks = checks
            .into_iter()
            .map(|check| Watched {
                check,
                failure: ArcSwapOption::empty(),
            })
            .collect();
        Self(Arc::new(Shared {
            checks,
            failing: AtomicUsize::default(),
        }))
    }

    /// Whether no check fails.
    pub fn is_well(&self) -> bool {
        self.0.failing.load(Ordering::Relaxed) == 0
    }

    /// The checks that fail, and why.
    pub fn failures(&self) -> Vec<(String, String)> {
        let failure = |watched: &Watched| {
            Some((
                watched.check.name.clone(),
                watched.failure.load().as_deref()?.clone(),
            ))
        };
        self.0.checks.iter().filter_map(failure).collect()
    }

    /// Looks at everything until it is dropped.
    pub async fn run(&self, registry: &Registry) {
        join_all(
            self.0
                .checks
                .iter()
                .map(|watched| self.watch(watched, registry)),
        )
        .await;
    }

    async fn watch(&self, watched: &Watched, registry: &Registry) {
        let mut failures = 0;
        loop {
            match watched.check.probe.look(registry).await {
                Ok(()) => {
                    failures = 0;
                    if watched.failure.swap(None).is_some() {
                        self.0.failing.fetch_sub(1, Ordering::Relaxed);
                        tracing::info!(
                            check = watched.check.name,
                            "a health check is passed again"
                        );
                    }
                }
                Err(cause) => {
                    failures += 1;
                    if failures >= watched.check.threshold.max(1)
                        && watched
                            .failure
                            .swap(Some(Arc::new(cause.clone())))
                            .is_none()
                    {
                        self.0.failing.fetch_add(1, Ordering::Relaxed);
                        tracing::error!(
                            check = watched.check.name,
                            cause,
                            "a health check fails: requests are refused until it is passed"
                        );
                    }
                }
            }
            tokio::time::sleep(watched.check.interval.max(SHORTEST_INTERVAL)).await;
        }
    }
}

/// Looks follow each other no faster than this, whatever the configuration says.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(5);

impl Probe {
    async fn look(&self, registry: &Registry) -> Result<(), String> {
        match self {
            Self::Storage => registry
                .status()
                .check_readable()
                .await
                .map_err(|error| error.to_string()),
            Self::File(path) => {
                let path = path.clone();
                let found = tokio::task::spawn_blocking(move || path.try_exists()).await;
                match found.map_err(|error| error.to_string())? {
                    Ok(false) => Ok(()),
                    Ok(true) => Err("file exists".to_owned()),
                    Err(error) => Err(error.to_string()),
                }
            }
            Self::Web(web) => web.look().await,
            Self::Tcp { address, timeout } => {
                match tokio::time::timeout(*timeout, TcpStream::connect(address)).await {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(error)) => Err(format!("connection to {address} failed: {error}")),
                    Err(_) => Err(format!(
                        "connection to {address} failed: nobody answered within {timeout:?}"
                    )),
                }
            }
        }
    }
}
