//! Ends of logins to the page, as the settings have them.

use std::time::Duration;

use crate::meta::{Millis, SessionEnds, millis};

/// Ends of a login to the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimes {
    /// Time without use.
    pub idle: Duration,
    /// Time in any case.
    pub lifetime: Duration,
}

impl Default for SessionTimes {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(12 * 3600),
            lifetime: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

impl SessionTimes {
    /// Returns the times before which sessions have ended: what the settings say now counts for all of them.
    pub(super) fn ends(self, now: Millis) -> SessionEnds {
        SessionEnds {
            used: now.saturating_sub(millis(self.idle)),
            created: now.saturating_sub(millis(self.lifetime)),
        }
    }
}
