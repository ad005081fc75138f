//! The registry's clock over time: follows the system's clock, and accounts for its jumps.
//!
//! The system's uptime tells time that has passed from a clock that was set. After a reboot only the clock itself can
//! tell, so a long time off counts as a jump ahead too.

use serde::{Deserialize, Serialize};

use crate::meta::clock::Millis;

/// Maximum difference to the expected time that is followed without further ado: a day.
const MAX_STEP: Millis = 24 * 3600 * 1000;
/// Number of skipped periods that are remembered. The oldest ones matter least.
const MAX_SKIPPED: usize = 64;

/// The system's clocks at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::meta) struct Reading<'s> {
    /// Time by the system's clock, which may jump.
    pub(in crate::meta) wall: Millis,
    /// Time since the boot, suspended time included.
    pub(in crate::meta) uptime: Millis,
    /// Identifier of the boot.
    pub(in crate::meta) boot: &'s str,
}

/// Correction of recorded times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::meta) struct Shift {
    pub(in crate::meta) by: Millis,
    /// Times recorded since then were wrong; `None` if only what collection waits for is put off.
    pub(in crate::meta) wrong_since: Option<Millis>,
}

/// A jump of the system's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jump {
    /// Ahead; the time in between does not count.
    Ahead(Millis),
    /// Back from a time ahead.
    Back(Millis),
    /// Back to before the recorded time, as its owner has confirmed.
    Confirmed(Millis),
}

/// State of the registry's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::meta) struct Timeline {
    boot: String,
    uptime: Millis,
    /// The registry's time at `uptime`.
    time: Millis,
    /// Periods that the clock has jumped over, oldest first.
    skipped: Vec<Skipped>,
    /// True if the owner has confirmed that the system's clock is right, although it is behind.
    is_confirmed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Skipped {
    from: Millis,
    to: Millis,
}

impl Timeline {
    /// Starts with the system's clock.
    pub(in crate::meta) fn new(reading: &Reading<'_>) -> Self {
        Self {
            boot: reading.boot.to_owned(),
            uptime: reading.uptime,
            time: reading.wall,
            skipped: Vec::new(),
            is_confirmed: false,
        }
    }

    /// Returns the registry's time: the system's, unless that has jumped by more than a day.
    pub(in crate::meta) fn time_at(&self, reading: &Reading<'_>) -> Millis {
        let expected = self.expected(reading);
        if is_step(reading.wall.saturating_sub(expected)) {
            reading.wall
        } else {
            expected
        }
    }

    /// Returns the time by which the system's clock is behind, if that is more than a day.
    pub(in crate::meta) fn lag_at(&self, reading: &Reading<'_>) -> Option<Millis> {
        Some(self.expected(reading).saturating_sub(reading.wall)).filter(|lag| *lag > MAX_STEP)
    }

    /// True if nothing has to be recorded: the clock has not jumped, and the last record is not too old.
    pub(in crate::meta) fn is_current_at(
        &self,
        reading: &Reading<'_>,
        record_interval: Millis,
    ) -> bool {
        self.is_same_boot(reading)
            && reading.uptime - self.uptime < record_interval
            && (is_step(reading.wall.saturating_sub(self.expected(reading)))
                || self
                    .lag_at(reading)
                    .is_some_and(|lag| !self.is_confirmed && !self.can_return(lag)))
    }

    /// Follows the system's clock. A jump is returned with the corrections of recorded times, in order.
    pub(in crate::meta) fn observe(&mut self, reading: &Reading<'_>) -> Option<(Jump, Vec<Shift>)> {
        let mut time = self.expected(reading);
        let ahead = reading.wall.saturating_sub(time);
        let jump = match () {
            () if is_step(ahead) => {
                time = reading.wall;
                None
            }
            () if ahead > 0 => {
                self.skip(time, reading.wall);
                time = reading.wall;
                Some((
                    Jump::Ahead(ahead),
                    vec![Shift {
                        by: ahead,
                        wrong_since: None,
                    }],
                ))
            }
            () if self.can_return(-ahead) => {
                let shifts = self.unskip(-ahead);
                time = reading.wall;
                Some((Jump::Back(-ahead), shifts))
            }
            () if self.is_confirmed => {
                time = reading.wall;
                for skipped in &mut self.skipped {
                    (skipped.from, skipped.to) = (skipped.from + ahead, skipped.to + ahead);
                }
                let shift = Shift {
                    by: ahead,
                    wrong_since: Some(Millis::MIN),
                };
                Some((Jump::Confirmed(-ahead), vec![shift]))
            }
            // it goes on by itself
            () => None,
        };
        if self.lag_at(reading).is_none() || jump.is_some() {
            self.is_confirmed = false;
        }
        reading.boot.clone_into(&mut self.boot);
        (self.uptime, self.time) = (reading.uptime, time);
        jump
    }

    /// Confirms that the system's clock is right; false if it is not behind.
    pub(in crate::meta) fn confirm(&mut self, reading: &Reading<'_>) -> bool {
        self.is_confirmed = self.lag_at(reading).is_some();
        self.is_confirmed
    }

    /// Moves a time before skipped periods by their length, so that its age is the time that has been lived since.
    pub(in crate::meta) fn lived(&self, time: Millis) -> Millis {
        let mut lived = time;
        for skipped in self.skipped.iter().filter(|skipped| skipped.to > time) {
            lived = lived.saturating_add(skipped.to - skipped.from.max(time));
        }
        lived
    }

    /// Returns the latest time that [`Self::lived`] moves to `cutoff` or before it.
    pub(in crate::meta) fn cutoff(&self, cutoff: Millis) -> Millis {
        let mut found = cutoff;
        for skipped in self.skipped.iter().rev() {
            if found >= skipped.to {
                break;
            }
            found = found.saturating_sub(skipped.length());
        }
        found
    }

    fn expected(&self, reading: &Reading<'_>) -> Millis {
        if self.is_same_boot(reading) {
            self.time.saturating_add(reading.uptime - self.uptime)
        } else {
            self.time
        }
    }

    fn is_same_boot(&self, reading: &Reading<'_>) -> bool {
        self.boot == reading.boot && reading.uptime >= self.uptime
    }

    fn skip(&mut self, from: Millis, to: Millis) {
        if self.skipped.len() >= MAX_SKIPPED {
            self.skipped.remove(0);
        }
        self.skipped.push(Skipped { from, to });
    }

    /// True if skipped periods account for the clock's being behind.
    fn can_return(&self, lag: Millis) -> bool {
        let skipped: Millis = self.skipped.iter().map(|skipped| skipped.length()).sum();
        skipped > 0 && lag <= skipped.saturating_add(MAX_STEP)
    }

    /// Takes the latest skipped periods back, as far as the clock has come back.
    fn unskip(&mut self, lag: Millis) -> Vec<Shift> {
        let mut shifts = Vec::new();
        let mut rest = lag;
        while rest > 0
            && let Some(last) = self.skipped.pop()
        {
            // a small step beside it is no reason to touch the one before
            let by = if rest <= last.length() + MAX_STEP {
                rest
            } else {
                last.length()
            };
            shifts.push(Shift {
                by: -by,
                wrong_since: Some(last.to),
            });
            if by < last.length() {
                self.skipped.push(Skipped {
                    from: last.from,
                    to: last.to - by,
                });
            }
            rest -= by;
        }
        shifts
    }
}

impl Skipped {
    fn length(self) -> Millis {
        self.to - self.from
    }
}

/// True if a difference is small enough to be followed without further ado.
pub(in crate::meta) fn is_step(difference: Millis) -> bool {
    difference.abs() <= MAX_STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3600 * 1000;
    const DAY: Millis = 24 * HOUR;
    const YEAR: Millis = 365 * DAY;
    /// An arbitrary time in 2026.
    const BEGIN: Millis = 1_790_000_000_000;

    fn at(wall: Millis, uptime: Millis, boot: &str) -> Reading<'_> {
        Reading { wall, uptime, boot }
    }

    fn begun() -> Timeline {
        Timeline::new(&at(BEGIN, 0, "a"))
    }

    #[test]
    fn time_that_passes_is_no_jump() {
        let mut timeline = begun();
        // suspended for a week: the uptime includes it
        for (wall, uptime) in [(HOUR, HOUR), (7 * DAY, 7 * DAY), (8 * DAY + HOUR, 8 * DAY)] {
            let reading = at(BEGIN + wall, uptime, "a");
            assert_eq!(timeline.observe(&reading), None);
            assert_eq!(timeline.time_at(&reading), BEGIN + wall);
        }
        // a restart of the machine within a day, and a step back by the time service
        let reading = at(BEGIN + 9 * DAY, HOUR, "b");
        assert_eq!(timeline.observe(&reading), None);
        let reading = at(BEGIN + 8 * DAY + 12 * HOUR, 2 * HOUR, "b");
        assert_eq!(timeline.observe(&reading), None);
        assert_eq!(timeline.lived(BEGIN), BEGIN);
    }

    #[test]
    fn ten_years_ahead_and_back_change_no_age() {
        let mut timeline = begun();
        let ahead = at(BEGIN + 10 * YEAR + HOUR, HOUR, "a");
        assert_eq!(timeline.time_at(&ahead), BEGIN + HOUR, "it does not jump");
        let shift = |by, wrong_since| vec![Shift { by, wrong_since }];
        assert_eq!(
            timeline.observe(&ahead),
            Some((Jump::Ahead(10 * YEAR), shift(10 * YEAR, None)))
        );
        assert_eq!(timeline.time_at(&ahead), ahead.wall);
        // what was pushed before is an hour old
        assert_eq!(ahead.wall - timeline.lived(BEGIN), HOUR);
        assert_eq!(timeline.lived(ahead.wall), ahead.wall);
        let back = at(BEGIN + 2 * HOUR, 2 * HOUR, "a");
        assert_eq!(timeline.time_at(&back), BEGIN + 10 * YEAR + 2 * HOUR);
        assert_eq!(
            timeline.observe(&back),
            Some((
                Jump::Back(10 * YEAR),
                shift(-10 * YEAR, Some(BEGIN + 10 * YEAR + HOUR))
            ))
        );
        assert_eq!(timeline.time_at(&back), back.wall);
        assert_eq!(timeline.lived(BEGIN), BEGIN);
    }

    #[test]
    fn a_machine_that_was_off_for_years_loses_nothing() {
        let mut timeline = begun();
        let start = at(BEGIN + 10 * YEAR, HOUR, "b");
        assert!(matches!(
            timeline.observe(&start),
            Some((Jump::Ahead(_), _))
        ));
        assert_eq!(start.wall - timeline.lived(BEGIN - HOUR), HOUR);
    }

    /// Without a battery the clock starts anywhere, until the time service sets it.
    #[test]
    fn a_clock_that_is_set_after_the_boot_is_followed_then() {
        for off in [HOUR, 3 * DAY] {
            let mut timeline = begun();
            let boot = at(1000, 1000, "b");
            assert_eq!(timeline.observe(&boot), None);
            assert_eq!(timeline.time_at(&boot), BEGIN);
            let set = at(BEGIN + off, 2000, "b");
            timeline.observe(&set);
            assert_eq!(timeline.time_at(&set), BEGIN + off);
            assert!(set.wall - timeline.lived(BEGIN) <= DAY);
        }
    }

    #[test]
    fn a_clock_that_was_wrong_after_a_long_time_off_is_corrected() {
        let mut timeline = begun();
        timeline.observe(&at(BEGIN + 10 * YEAR, HOUR, "b"));
        let correct = at(BEGIN + 3 * DAY, 2 * HOUR, "b");
        let (jump, shifts) = timeline.observe(&correct).unwrap();
        let by = 10 * YEAR + HOUR - 3 * DAY;
        assert_eq!(jump, Jump::Back(by));
        assert_eq!(
            shifts,
            [Shift {
                by: -by,
                wrong_since: Some(BEGIN + 10 * YEAR)
            }]
        );
        // the days off still do not count
        assert_eq!(correct.wall - timeline.lived(BEGIN), HOUR);
    }

    #[test]
    fn several_jumps_are_taken_back_at_once() {
        let mut timeline = begun();
        timeline.observe(&at(BEGIN + 5 * YEAR, 0, "a"));
        timeline.observe(&at(BEGIN + 9 * YEAR + HOUR, HOUR, "a"));
        let (jump, shifts) = timeline.observe(&at(BEGIN + HOUR, HOUR, "a")).unwrap();
        assert_eq!(jump, Jump::Back(9 * YEAR));
        let sum: Millis = shifts.iter().map(|shift| shift.by).sum();
        assert_eq!((shifts.len(), sum), (2, -9 * YEAR));
        assert_eq!(timeline.lived(BEGIN), BEGIN);
    }

    #[test]
    fn a_clock_behind_is_followed_once_its_owner_confirms_it() {
        let mut timeline = begun();
        let behind = at(BEGIN - 10 * YEAR, HOUR, "a");
        assert_eq!(timeline.observe(&behind), None);
        assert_eq!(timeline.time_at(&behind), BEGIN + HOUR);
        assert_eq!(timeline.lag_at(&behind), Some(10 * YEAR + HOUR));
        assert!(timeline.is_current_at(&behind, HOUR));
        assert!(timeline.confirm(&behind) && !timeline.is_current_at(&behind, HOUR));
        let by = -10 * YEAR - HOUR;
        assert_eq!(
            timeline.observe(&behind),
            Some((
                Jump::Confirmed(-by),
                vec![Shift {
                    by,
                    wrong_since: Some(Millis::MIN)
                }]
            ))
        );
        assert_eq!(timeline.time_at(&behind), behind.wall);
        assert!(!timeline.confirm(&behind));
    }

    #[test]
    fn cutoffs_invert_lived_times() {
        let mut timeline = begun();
        timeline.observe(&at(BEGIN + 3 * DAY, 0, "a"));
        timeline.observe(&at(BEGIN + 9 * DAY, HOUR, "b"));
        for hour in -24..300 {
            let cutoff = BEGIN + hour * HOUR;
            let found = timeline.cutoff(cutoff);
            assert!(timeline.lived(found) <= cutoff, "{hour}");
            assert!(timeline.lived(found + 1) > cutoff, "{hour}");
        }
    }

    #[test]
    fn skipped_periods_are_bounded() {
        let mut timeline = begun();
        for number in 1..1000 {
            timeline.observe(&at(BEGIN + number * 7 * DAY, 0, &number.to_string()));
        }
        assert_eq!(timeline.skipped.len(), MAX_SKIPPED);
    }
}
