//! Periodic checks and their results.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::future::join_all;

use super::probe::Probe;
use crate::registry::Registry;

/// Minimum pause between two probes; a shorter configured interval is raised to it.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(5);

/// Probe that is repeated.
#[derive(Debug)]
pub struct Check {
    /// Name in reports.
    pub name: String,
    pub probe: Probe,
    /// Pause between two probes.
    pub interval: Duration,
    /// Number of consecutive failures that count as one, at least one.
    pub threshold: u32,
}

/// All checks and their results; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    checks: Vec<State>,
    /// Number of failing checks.
    failing: AtomicUsize,
}

#[derive(Debug)]
struct State {
    check: Check,
    /// Cause of the failure once it counts.
    failure: ArcSwapOption<String>,
}

impl Health {
    /// Creates checks that pass until they are first probed.
    pub fn new(checks: Vec<Check>) -> Self {
        let checks = checks
            .into_iter()
            .map(|check| State {
                check,
                failure: ArcSwapOption::empty(),
            })
            .collect();
        Self(Arc::new(Shared {
            checks,
            failing: AtomicUsize::default(),
        }))
    }

    /// Reports whether all checks pass.
    pub fn is_healthy(&self) -> bool {
        self.0.failing.load(Ordering::Relaxed) == 0
    }

    /// Returns name and cause of all failing checks.
    pub fn failures(&self) -> Vec<(String, String)> {
        let failure = |state: &State| {
            Some((
                state.check.name.clone(),
                state.failure.load().as_deref()?.clone(),
            ))
        };
        self.0.checks.iter().filter_map(failure).collect()
    }

    /// Runs all checks until dropped.
    pub async fn run(&self, registry: &Registry) {
        join_all(
            self.0
                .checks
                .iter()
                .map(|state| self.repeat(state, registry)),
        )
        .await;
    }

    async fn repeat(&self, state: &State, registry: &Registry) {
        let mut failures = 0;
        loop {
            match state.check.probe.run(registry).await {
                Ok(()) => {
                    failures = 0;
                    if state.failure.swap(None).is_some() {
                        self.0.failing.fetch_sub(1, Ordering::Relaxed);
                        tracing::info!(check = state.check.name, "health check passes again");
                    }
                }
                Err(cause) => {
                    failures += 1;
                    if failures >= state.check.threshold.max(1)
                        && state.failure.swap(Some(Arc::new(cause.clone()))).is_none()
                    {
                        self.0.failing.fetch_add(1, Ordering::Relaxed);
                        tracing::error!(
                            check = state.check.name,
                            cause,
                            "health check failed: requests are rejected until it passes"
                        );
                    }
                }
            }
            tokio::time::sleep(state.check.interval.max(SHORTEST_INTERVAL)).await;
        }
    }
}
