//! Retention of manifests without tags.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::registry::policy::duration::format_duration;

/// Retention period of manifests without tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeepUntagged {
    /// For this time, and at least as long as leases and the grace period require.
    For(Duration),
    Forever,
}

impl fmt::Display for KeepUntagged {
    /// Writes the period as in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(time) => f.write_str(&format_duration(*time)),
            Self::Forever => f.write_str("forever"),
        }
    }
}
