//! Order statistics.

use std::time::Duration;

/// Returns the time below which a share of all times lies; sorts them.
pub fn quantile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    let at = ((times.len() as f64 * share) as usize).min(last);
    times.get(at).copied().unwrap_or_default()
}
