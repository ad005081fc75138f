//! States of all upstreams, as a server records them.

use std::time::{SystemTime, UNIX_EPOCH};

use super::counters::MOST_GONE;
use super::mirrors::{Mirror, Mirrors};
use crate::oci::RepositoryName;
use crate::registry::{self, Millis, Registry, UpstreamState};

impl Mirrors {
    /// Learns which tags of upstreams are gone, as an earlier server recorded it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remember_gone(&self, registry: &Registry) -> Result<(), registry::Error> {
        if self.is_empty() {
            return Ok(());
        }
        for (name, tag) in registry.upstreams().gone_tags(MOST_GONE).await? {
            if let Some((mirror, _)) = self.find(&name) {
                mirror.counters.mark_gone(&name, &tag);
            }
        }
        Ok(())
    }

    /// Counts a pull that was answered.
    pub fn count_pull(&self, name: &RepositoryName) {
        if let Some((mirror, _)) = self.find(name) {
            mirror.counters.pulls.add(1);
        }
    }

    /// Returns the states of all upstreams, with counts since the last time.
    pub fn states(&self) -> Vec<UpstreamState> {
        self.all().map(Mirror::state).collect()
    }
}

impl Mirror {
    /// Returns its state, with counts since the last time.
    fn state(&self) -> UpstreamState {
        let (tally, quota) = (self.upstream().tally(), self.upstream().quota());
        let now = [
            self.counters.pulls.get(),
            self.counters.stale.get(),
            tally.fetches.get(),
            tally.fetched.get(),
        ];
        let before = self.counters.record(now);
        let since = |number: usize| now[number].saturating_sub(before[number]);
        let (last, misses) = (tally.last(), since(2));
        let failed_at = last.failed.as_ref().map(|(at, _)| millis(*at));
        UpstreamState {
            name: self
                .prefix()
                .map(RepositoryName::as_str)
                .unwrap_or_default()
                .to_owned(),
            url: self.url().to_owned(),
            answered_at: last.answered.map(millis),
            failed_at,
            failure: last.failed.map(|(_, error)| error.to_string()),
            quota_limit: quota.and_then(|quota| quota.limit),
            quota_remaining: quota.and_then(|quota| quota.remaining),
            hits: since(0).saturating_sub(misses),
            misses,
            stale: since(1),
            fetched: since(3),
        }
    }
}

fn millis(at: SystemTime) -> Millis {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}
