//! Retention settings: how long content is kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::meta::{IdleManifest, Millis, millis};
use crate::registry::policy::keep_untagged::KeepUntagged;
use crate::registry::policy::tag_policy::Policy;

/// All that an owner may say about keeping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retention {
    /// Whether the server collects by itself.
    pub enabled: bool,
    /// How long it rests between two passes.
    pub interval: Duration,
    /// How long a client may rely on having been told that something is there.
    pub lease: Duration,
    /// How long what was needed stays after it is not any more: the time for backups, and for second thoughts.
    pub grace: Duration,
    /// How long a manifest without tags stays, where no policy says otherwise.
    pub untagged: KeepUntagged,
    /// How long it is remembered what a tag pointed at.
    pub history: Duration,
    pub policies: Vec<Policy>,
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for Retention {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_secs(60),
            lease: 24 * HOUR,
            grace: 24 * HOUR,
            untagged: KeepUntagged::For(14 * DAY),
            history: 90 * DAY,
            policies: Vec::new(),
        }
    }
}

impl Retention {
    /// How long anything stays after the last time it was needed or promised, whatever the rules say.
    pub fn hold(&self) -> Millis {
        millis(self.lease.max(self.grace))
    }

    /// Whether half a lease has passed since a thing was last promised that nothing holds.
    pub(in crate::registry) fn is_half_over(&self, idle_since: Option<Millis>) -> bool {
        idle_since
            .is_some_and(|since| crate::meta::now().saturating_sub(since) > millis(self.lease) / 2)
    }

    /// The policy of a repository.
    pub fn policy(&self, repository: &str) -> Option<&Policy> {
        self.policies
            .iter()
            .find(|policy| policy.repositories.matches(repository))
    }

    /// How long manifests without tags stay in a repository.
    pub fn untagged_rule(&self, repository: &str) -> KeepUntagged {
        self.policy(repository)
            .and_then(|policy| policy.untagged)
            .unwrap_or(self.untagged)
    }

    /// When a manifest that nothing holds is due; none if never.
    pub fn due(&self, manifest: &IdleManifest) -> Option<Millis> {
        let since = last_needed(manifest);
        if manifest.is_freed {
            return Some(since.saturating_add(self.hold()));
        }
        match self.untagged_rule(&manifest.repository) {
            KeepUntagged::Forever => None,
            KeepUntagged::Never => Some(since.saturating_add(self.hold())),
            KeepUntagged::For(time) => Some(since.saturating_add(millis(time).max(self.hold()))),
        }
    }
}

/// The last time that anybody wanted an idle manifest.
fn last_needed(manifest: &IdleManifest) -> Millis {
    manifest
        .idle_since
        .max(manifest.pulled_at.unwrap_or(Millis::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::policy::glob::Glob;

    fn policy(repositories: &str, untagged: Option<KeepUntagged>) -> Policy {
        Policy {
            repositories: Glob::try_from(repositories.to_owned()).unwrap(),
            untagged,
            immutable: Vec::new(),
            expire_immutable: false,
            tags: Vec::new(),
        }
    }

    #[test]
    fn the_first_matching_policy_counts() {
        let retention = Retention {
            policies: vec![
                policy("team/*", Some(KeepUntagged::Never)),
                policy("**", None),
            ],
            ..Retention::default()
        };
        assert_eq!(
            retention.policy("team/app").unwrap().untagged,
            Some(KeepUntagged::Never)
        );
        assert_eq!(retention.policy("team/app/more").unwrap().untagged, None);
        assert_eq!(Retention::default().policy("a"), None);
    }
}
