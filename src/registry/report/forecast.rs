//! What collection would remove, when, and how much disk that gives back.

use crate::meta::{Millis, now};
use crate::registry::error::Error;
use crate::registry::policy::retention::Retention;
use crate::registry::report::removal::{Doomed, Share};
use crate::registry::report::simulation::Fall;
use crate::registry::service::Registry;

/// All that goes unless somebody needs it before, soonest first.
#[derive(Clone, Debug, Default)]
pub struct Forecast {
    /// When it was made.
    pub now: Millis,
    pub doomed: Vec<Doomed>,
    /// Blobs and manifests that there are.
    pub all: u64,
}

impl Forecast {
    /// What goes with the next sweep.
    pub fn due(&self) -> Share {
        self.share(|at| at <= self.now)
    }

    /// What waits for a lease, a grace period or a rule.
    pub fn later(&self) -> Share {
        self.share(|at| at > self.now)
    }

    fn share(&self, is_in: impl Fn(Millis) -> bool) -> Share {
        Share::of(self.doomed.iter().filter(|doomed| is_in(doomed.at)))
    }
}

impl Registry {
    /// What would be collected by these rules.
    pub async fn forecast(&self, retention: &Retention) -> Result<Forecast, Error> {
        let retention = retention.clone();
        self.scan(move |meta| {
            let now = now();
            let mut fall = Fall::new(meta, &retention, None);
            fall.everything(now)?;
            let mut doomed = fall.doomed;
            doomed.sort_by_key(|doomed| doomed.at);
            let totals = meta.totals()?;
            Ok(Forecast {
                now,
                doomed,
                all: totals.blobs + totals.manifests,
            })
        })
        .await
    }
}
