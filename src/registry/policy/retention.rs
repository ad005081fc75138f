//! Retention settings: the periods for which content is kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::meta::{IdleManifest, Millis, millis};
use crate::oci::RepositoryName;
use crate::registry::error::Error;
use crate::registry::policy::cache_rule::CacheRule;
use crate::registry::policy::keep_untagged::KeepUntagged;
use crate::registry::policy::tag_policy::Policy;

/// Retention settings. Stored as JSON in the database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retention {
    /// Collect garbage in the server.
    pub enabled: bool,
    /// Interval between two sweeps.
    pub interval: Duration,
    /// Time for which a client may rely on a positive answer.
    pub lease: Duration,
    /// Time for which content is kept after its last use: the window for backups and for undo.
    pub grace: Duration,
    /// Retention of manifests without tags, unless a policy overrides it.
    pub keep_untagged: KeepUntagged,
    /// Time for which former targets of tags are remembered.
    pub history: Duration,
    pub policies: Vec<Policy>,
    /// Limits of what is cached of upstreams; none of those without a limit.
    pub caches: Vec<CacheRule>,
}

/// Maximum time for which a pull from a cache relies on what it was told.
///
/// Nobody pushes there, so that no client needs a lease for longer; what is asked for later comes from the upstream again.
const LONGEST_CACHE_LEASE: Duration = Duration::from_secs(2 * 3600);

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for Retention {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_secs(60),
            lease: 24 * HOUR,
            grace: 24 * HOUR,
            keep_untagged: KeepUntagged::For(14 * DAY),
            history: 90 * DAY,
            policies: Vec::new(),
            caches: Vec::new(),
        }
    }
}

impl Retention {
    /// Minimum time for which anything is kept after its last use or promise, whatever the rules
    /// say.
    pub fn hold_period(&self) -> Millis {
        millis(self.lease.max(self.grace))
    }

    /// True if more than half of an unreferenced item's lease is over.
    pub(in crate::registry) fn is_lease_half_over(&self, idle_since: Option<Millis>) -> bool {
        idle_since
            .is_some_and(|since| crate::meta::now().saturating_sub(since) > millis(self.lease) / 2)
    }

    /// Returns the first policy that matches the repository.
    pub fn policy(&self, repository: &str) -> Option<&Policy> {
        self.policies
            .iter()
            .find(|policy| policy.repositories.matches(repository))
    }

    /// Returns the time for which content of an evicted image stays.
    pub fn cache_lease(&self) -> Duration {
        self.lease.min(LONGEST_CACHE_LEASE)
    }

    /// Returns the time for which an image stays after its last use, whatever the limits of its cache.
    pub fn cache_rest(&self) -> Duration {
        self.cache_lease() / 2
    }

    /// Returns the limits of an upstream's cache.
    pub fn cache_rule(&self, upstream: &str) -> Option<&CacheRule> {
        self.caches.iter().find(|rule| rule.name == upstream)
    }

    /// Reports whether an owner's policy keeps a tag, whatever the limits of its cache.
    pub(in crate::registry) fn is_pinned(&self, repository: &str, tag: &str) -> bool {
        self.policy(repository).is_some_and(|policy| {
            let rule = policy
                .rule_number(tag)
                .and_then(|number| policy.tags.get(number));
            (policy.is_immutable(tag) && !policy.expire_immutable)
                || rule.is_some_and(|rule| rule.always)
        })
    }

    /// Checks that the tag may be moved or removed.
    pub fn check_mutable(&self, repository: &RepositoryName, tag: &str) -> Result<(), Error> {
        self.policy(repository.as_str())
            .map_or(Ok(()), |policy| policy.check_mutable(repository, tag))
    }

    /// Returns the retention of manifests without tags in the repository.
    pub fn untagged_rule(&self, repository: &str) -> KeepUntagged {
        self.policy(repository)
            .and_then(|policy| policy.keep_untagged)
            .unwrap_or(self.keep_untagged)
    }

    /// Reports whether an unreferenced manifest is there only because its last holder was deleted.
    ///
    /// False if the rules keep untagged manifests forever, because they may be pulled by digest.
    pub(in crate::registry) fn is_deleted(&self, manifest: &IdleManifest) -> bool {
        let is_kept = !manifest.has_lost_parent
            && self.untagged_rule(&manifest.repository) == KeepUntagged::Forever;
        manifest.released_at.is_some() && !is_kept
    }

    /// Returns the time at which an unreferenced manifest is due; `None` if never.
    pub fn due(&self, manifest: &IdleManifest) -> Option<Millis> {
        let since = last_needed(manifest);
        if manifest.has_lost_parent {
            return Some(since.saturating_add(self.hold_period()));
        }
        match self.untagged_rule(&manifest.repository) {
            KeepUntagged::Forever => None,
            KeepUntagged::For(time) => {
                Some(since.saturating_add(millis(time).max(self.hold_period())))
            }
        }
    }
}

/// Time of the last use of an unreferenced manifest.
fn last_needed(manifest: &IdleManifest) -> Millis {
    manifest
        .idle_since
        .max(manifest.pulled_at.unwrap_or(Millis::MIN))
        .max(manifest.checked_at.unwrap_or(Millis::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Glob;

    fn policy(repositories: &str, keep_untagged: Option<KeepUntagged>) -> Policy {
        Policy {
            repositories: Glob::try_from(repositories.to_owned()).unwrap(),
            keep_untagged,
            immutable: Vec::new(),
            expire_immutable: false,
            tags: Vec::new(),
        }
    }

    #[test]
    fn the_first_matching_policy_counts() {
        let retention = Retention {
            policies: vec![
                policy("team/*", Some(KeepUntagged::Forever)),
                policy("**", None),
            ],
            ..Retention::default()
        };
        assert_eq!(
            retention.policy("team/app").unwrap().keep_untagged,
            Some(KeepUntagged::Forever)
        );
        assert_eq!(
            retention.policy("team/app/more").unwrap().keep_untagged,
            None
        );
        assert_eq!(Retention::default().policy("a"), None);
    }
}
