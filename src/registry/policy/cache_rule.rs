//! Rules about what is cached of an upstream.

use std::time::Duration;

use serde::{Deserialize, Serialize};

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
