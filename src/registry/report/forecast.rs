//! What collection would remove, when, and how much disk that gives back.

use crate::meta::{Millis, now};
use crate::registry::error::Error;
use crate::registry::policy::retention::Retention;
use crate::registry::report::removal::{PlannedRemoval, RemovalTotals};
use crate::registry::report::simulation::Simulation;
use crate::registry::slices::Reports;

/// All that goes unless somebody needs it before, soonest first.
#[derive(Clone, Debug, Default)]
pub struct Forecast {
    /// When it was made.
    pub now: Millis,
    pub removals: Vec<PlannedRemoval>,
    /// Blobs and manifests that there are.
    pub all: u64,
}

impl Forecast {
    /// What goes with the next sweep.
    pub fn due(&self) -> RemovalTotals {
        self.share(|at| at <= self.now)
    }

    /// What waits for a lease, a grace period or a rule.
    pub fn later(&self) -> RemovalTotals {
        self.share(|at| at > self.now)
    }

    fn share(&self, is_in: impl Fn(Millis) -> bool) -> RemovalTotals {
        RemovalTotals::of(self.removals.iter().filter(|removal| is_in(removal.at)))
    }
}

impl Reports<'_> {
    /// What would be collected by these rules.
    pub async fn forecast(self, retention: &Retention) -> Result<Forecast, Error> {
        let retention = retention.clone();
        self.registry
            .scan(move |meta| {
                let now = now();
                let mut simulation = Simulation::new(meta, &retention, None);
                simulation.everything(now)?;
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
