//! Rules about what is cached of an upstream.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::registry::policy::retention::Retention;

/// Maximum time for which a pull from a cache relies on what it was told.
///
/// Nobody pushes there, so that no client needs a lease for longer; what is asked for later comes from the upstream again.
const LONGEST_LEASE: Duration = Duration::from_secs(2 * 3600);

/// Limits of what is cached of one upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CacheRule {
    /// Prefix of its repositories; empty where the whole registry is its cache.
    pub name: String,
    /// Time after their last use for which images are kept; `None` for any time.
    pub unused: Option<Duration>,
    /// Maximum size of the blobs that images need, in bytes.
    pub size: Option<u64>,
}

impl CacheRule {
    /// Returns its upstream, in words.
    pub(in crate::registry) fn place(&self) -> String {
        match &*self.name {
            "" => "the cache".to_owned(),
            name => format!("the cache of {name}"),
        }
    }
}

impl Retention {
    /// Returns the time for which content of an evicted image stays.
    pub fn cache_lease(&self) -> Duration {
        self.lease.min(LONGEST_LEASE)
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
            let rule = policy.rule_number(tag).and_then(|number| policy.tags.get(number));
            (policy.is_immutable(tag) && !policy.expire_immutable)
                || rule.is_some_and(|rule| rule.always)
        })
    }
}
