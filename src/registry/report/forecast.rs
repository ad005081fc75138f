//! Forecast of garbage collection: items, times and released disk space.

use std::collections::BTreeMap;

use crate::meta::{Millis, now};
use crate::registry::error::Error;
use crate::registry::facades::Reports;
use crate::registry::policy::retention::Retention;
use crate::registry::report::removal::{PlannedRemoval, RemovalTotals, WaitCause};
use crate::registry::report::simulation::Simulation;

/// Planned removals, soonest first, unless the items are used before.
#[derive(Clone, Debug, Default)]
pub struct Forecast {
    /// Time of the forecast.
    pub now: Millis,
    pub removals: Vec<PlannedRemoval>,
    /// Untagged manifests that the rules keep forever, and the blobs that only they need.
    pub kept_forever: RemovalTotals,
    /// Number of blobs and manifests in the store.
    pub all: u64,
}

/// Garbage that waits for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub cause: WaitCause,
    /// `last` is `None` if it waits forever.
    pub totals: RemovalTotals,
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

    /// Sums up what waits, by cause; manifests that are kept forever are the last.
    pub fn waiting(&self) -> Vec<Waiting> {
        let mut causes: BTreeMap<WaitCause, Vec<&PlannedRemoval>> = BTreeMap::new();
        for removal in self.removals.iter().filter(|removal| removal.at > self.now) {
            causes.entry(removal.cause).or_default().push(removal);
        }
        let later = causes.into_iter().map(|(cause, removals)| Waiting {
            cause,
            totals: RemovalTotals::of(removals.into_iter()),
        });
        let forever = Waiting {
            cause: WaitCause::Untagged,
            totals: RemovalTotals {
                last: None,
                ..self.kept_forever
            },
        };
        let is_any = forever.totals != RemovalTotals::default();
        later.chain(is_any.then_some(forever)).collect()
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
                let ends = simulation.removals.len();
                simulation.manifests_kept_forever()?;
                let forever = simulation.removals.split_off(ends);
                let mut removals = simulation.removals;
                removals.sort_by_key(|removal| removal.at);
                let totals = meta.totals()?;
                Ok(Forecast {
                    now,
                    removals,
                    kept_forever: RemovalTotals::of(forever.iter()),
                    all: totals.blobs + totals.manifests,
                })
            })
            .await
    }
}
