//! A bar for a terminal. Scripts, pipes and logs never see it.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use tarkeep::registry::Progress;

use crate::cli::terminal::output::size;

/// How often a terminal is told how far it is.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// Columns of the bar itself.
const BAR: u64 = 30;
/// Of a terminal that does not say.
const COLUMNS: usize = 80;

/// On standard error, in one line that is written over; it goes when this does.
pub(crate) struct Bar {
    begun: Instant,
    told: Option<Instant>,
}

impl Bar {
    /// None where standard error is no terminal.
    pub(crate) fn new() -> Option<Self> {
        stderr().is_terminal().then(|| Self {
            begun: Instant::now(),
            told: None,
        })
    }

    pub(crate) fn tell(&mut self, progress: &Progress) {
        if progress.due == 0 || self.told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        let columns =
            rustix::termios::tcgetwinsize(stderr()).map_or(0, |size| usize::from(size.ws_col));
        let columns = if columns == 0 { COLUMNS } else { columns };
        // back at its beginning, so that a line of the log comes in its place; a terminal that is gone is no reason to stop
        let _ = write!(
            stderr(),
            "\x1b[K{}\r",
            line(progress, self.begun.elapsed(), columns)
        );
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.told.is_some() {
            let _ = write!(stderr(), "\x1b[K");
        }
    }
}

/// `[=====>     ] 1234 of 5678, 1.2 GiB freed, 12s`, as much as fits without a second line.
fn line(progress: &Progress, elapsed: Duration, columns: usize) -> String {
    let Progress { done, due, swept } = progress;
    let full = u64::try_from(u128::from(BAR) * u128::from(*done) / u128::from((*due).max(1)))
        .unwrap_or(BAR)
        .min(BAR);
    let bar: String = (0..BAR)
        .map(|column| if column < full { '=' } else { ' ' })
        .collect();
    let time = humantime::format_duration(Duration::from_secs(elapsed.as_secs()));
    let text = format!(
        "[{bar}] {done} of {due}, {} freed, {time}",
        size(swept.bytes)
    );
    text.chars().take(columns.saturating_sub(1)).collect()
}

#[cfg(test)]
mod tests {
    use tarkeep::registry::SweepCounts;

    use super::*;

    #[test]
    fn a_bar_fills_and_fits_its_line() {
        let at = |done, due, columns| {
            let swept = SweepCounts {
                bytes: 3 << 30,
                ..SweepCounts::default()
            };
            line(
                &Progress { done, due, swept },
                Duration::from_millis(75_900),
                columns,
            )
        };
        assert_eq!(
            at(0, 4, 80),
            format!("[{}] 0 of 4, 3.0 GiB freed, 1m 15s", " ".repeat(30))
        );
        assert_eq!(
            at(1, 2, 80),
            format!(
                "[{}{}] 1 of 2, 3.0 GiB freed, 1m 15s",
                "=".repeat(15),
                " ".repeat(15)
            )
        );
        assert_eq!(at(u64::MAX, u64::MAX, 33), format!("[{}]", "=".repeat(30)));
        assert_eq!(at(1, 0, 0), "");
    }
}
