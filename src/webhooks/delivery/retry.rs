//! Pauses between attempts, and the end of them.

use std::time::Duration;

use crate::registry::Millis;
use crate::webhooks::settings::{Endpoint, Retry};

/// Longest pause.
const LONGEST: Duration = Duration::from_secs(3600);
/// Time of failures after which an event becomes a dead letter, once it is as old as that.
///
/// It is the sum of the pauses between attempts: while no server runs, or none delivers, nothing is given up.
pub(super) const PATIENCE: Millis = 3 * 24 * 3_600_000;

impl Endpoint {
    /// Returns the pause after a number of failures, in milliseconds.
    pub(super) fn pause(&self, failures: u32) -> Millis {
        i64::try_from(self.retry.pause(failures).as_millis()).unwrap_or(i64::MAX)
    }

    /// Returns the time for which events are held back, in milliseconds.
    pub(super) fn delay(&self) -> Millis {
        i64::try_from(self.collapse.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Retry {
    /// Returns the pause after a number of failures: `backoff`, doubled for each beyond the threshold, up to an hour, and up to
    /// a quarter shorter by chance.
    pub(super) fn pause(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(self.threshold.max(1)).min(24);
        let whole = self.backoff.saturating_mul(1 << doublings).min(LONGEST);
        whole.mul_f64(1.0 - chance() / 4.0)
    }
}

/// Returns a number from 0 up to 1, which need not be hard to guess.
fn chance() -> f64 {
    let random = uuid::Uuid::new_v4().as_u64_pair().0;
    f64::from((random & 0xffff) as u16) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        let retry = Retry {
            threshold: 2,
            backoff: Duration::from_secs(1),
        };
        for (failures, most) in [
            (1, 1),
            (2, 1),
            (3, 2),
            (4, 4),
            (12, 1024),
            (20, 3600),
            (900, 3600),
        ] {
            let (pause, most) = (retry.pause(failures), Duration::from_secs(most));
            assert!(
                pause <= most && pause >= most * 3 / 4,
                "{failures}: {pause:?}"
            );
        }
    }
}
