//! Forecast of garbage collection: items, times and released disk space.

use crate::meta::{Millis, now};
use crate::registry::error::Error;
use crate::registry::facades::Reports;
use crate::registry::policy::retention::Retention;
use crate::registry::report::removal::{PlannedRemoval, RemovalTotals};
use crate::registry::report::simulation::Simulation;

/// Planned removals, soonest first, unless the items are used before.
#[derive(Clone, Debug, Default)]
pub struct Forecast {
    /// Time of the forecast.
    pub now: Millis,
    pub removals: Vec<PlannedRemoval>,
    /// Number of blobs and manifests in the store.
    pub all: u64,
}

impl Forecast {
    /// Sums up the removals of the next sweep.
    pub fn due(&self) -> RemovalTotals {
        self.share(|at| at <= self.now)
    }

    /// Sums up the removals that wait for a lease, a grace period or a rule.
    pub fn later(&self) -> RemovalTotals {
        self.share(|at| at > self.now)
    }

    fn share(&self, is_in: impl Fn(Millis) -> bool) -> RemovalTotals {
        RemovalTotals::of(self.removals.iter().filter(|removal| is_in(removal.at)))
    }
}

impl Reports<'_> {
    /// Forecasts collection with these retention rules.
    pub async fn forecast(self, retention: &Retention) -> Result<Forecast, Error> {
        let retention = retention.clone();
        self.registry
            .scan(move |meta| {
                let now = now();
                let mut simulation = Simulation::new(meta, &retention, None);
                simulation.collect_all(now)?;
                let mut removals = simulation.removals;
                removals.sort_by_key(|removal| removal.at);
                let totals = meta.totals()?;
                Ok(Forecast {
                    now,
                    removals,
                    all: totals.blobs + totals.manifests,
                })
            })
            .await
    }
}
