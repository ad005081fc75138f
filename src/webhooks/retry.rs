//! Pauses between attempts.

use std::time::Duration;

use crate::webhooks::settings::Retry;

/// Longest pause.
const LONGEST: Duration = Duration::from_secs(3600);
/// Age at which an event becomes a dead letter.
///
/// It counts from when the event was shared out to the endpoint, or sent again by hand.
pub(super) const PATIENCE: Duration = Duration::from_secs(3 * 24 * 3600);

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
