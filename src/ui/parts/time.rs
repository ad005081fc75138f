//! Times: relative ones, with the exact one beside them.

use std::borrow::Borrow;
use std::fmt;

use askama::filters::HtmlSafe;
use jiff::Timestamp;

use crate::registry::{Millis, now};
use crate::report::Time;

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;
/// Longest time that is shown relatively, in days.
const FAR: Millis = 99;

/// A time that was, or will be: `12 min ago`, `in 29 d`, `12 Aug`.
#[derive(Clone, Copy, Debug)]
pub struct Moment(pub Millis);

/// A time that a promise is made for: `tomorrow 07:12`, `11 Dec 10:42`.
#[derive(Clone, Copy, Debug)]
pub struct Promise(pub Millis);

fn timestamp(at: Millis) -> Timestamp {
    // a rule may ask for thousands of years
    Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX)
}

fn shown(at: Millis, format: &str) -> String {
    timestamp(at).strftime(format).to_string()
}

/// Returns a day, with its year unless that is the present one.
fn date(at: Millis, now: Millis) -> String {
    match shown(at, "%Y") == shown(now, "%Y") {
        true => shown(at, "%-d %b"),
        false => shown(at, "%-d %b %Y"),
    }
}

/// Returns a length of time in its largest unit.
fn length(time: Millis) -> String {
    match time {
        short if short < MINUTE => format!("{} s", short / 1000),
        short if short < HOUR => format!("{} min", short / MINUTE),
        middle if middle < DAY => format!("{} h", middle / HOUR),
        long => format!("{} d", long / DAY),
    }
}

fn relative(at: Millis, now: Millis) -> String {
    match at.saturating_sub(now) {
        -999..=999 => "now".to_owned(),
        past if past < -(FAR + 1) * DAY => date(at, now),
        past if past < 0 => format!("{} ago", length(-past)),
        future if future >= (FAR + 1) * DAY => date(at, now),
        future => format!("in {}", length(future)),
    }
}

fn promised(at: Millis, now: Millis) -> String {
    let day = |at| shown(at, "%F");
    if day(at) == day(now) {
        format!("today {}", shown(at, "%H:%M"))
    } else if day(at) == day(now + DAY) {
        format!("tomorrow {}", shown(at, "%H:%M"))
    } else {
        format!("{} {}", date(at, now), shown(at, "%H:%M"))
    }
}

fn write(f: &mut fmt::Formatter<'_>, at: Millis, words: &str) -> fmt::Result {
    write!(
        f,
        "<time datetime=\"{}\" title=\"{}\">{words}</time>",
        shown(at, "%FT%TZ"),
        shown(at, "%F %T UTC"),
    )
}

impl Moment {
    pub fn of(time: impl Borrow<Time>) -> Self {
        Self(time.borrow().0)
    }

    /// Returns the words alone.
    pub fn words(self) -> String {
        relative(self.0, now())
    }
}

impl Promise {
    pub fn of(time: impl Borrow<Time>) -> Self {
        Self(time.borrow().0)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, &self.words())
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, &promised(self.0, now()))
    }
}

impl HtmlSafe for Moment {}
impl HtmlSafe for Promise {}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-27 10:42 UTC.
    const NOW: Millis = 1_795_776_120_000;

    #[test]
    fn times_are_relative_for_99_days() {
        for (distance, words) in [
            (0, "now"),
            (-12_000, "12 s ago"),
            (-12 * MINUTE, "12 min ago"),
            (-21 * HOUR, "21 h ago"),
            (-41 * DAY, "41 d ago"),
            (-99 * DAY, "99 d ago"),
            (-107 * DAY, "12 Aug"),
            (-365 * DAY, "27 Nov 2025"),
            (29 * DAY, "in 29 d"),
            (400 * DAY, "1 Jan 2028"),
        ] {
            assert_eq!(relative(NOW + distance, NOW), words);
        }
    }

    #[test]
    fn promises_name_day_and_time() {
        for (distance, words) in [
            (HOUR, "today 11:42"),
            (20 * HOUR + 30 * MINUTE, "tomorrow 07:12"),
            (14 * DAY, "11 Dec 10:42"),
        ] {
            assert_eq!(promised(NOW + distance, NOW), words);
        }
    }
}
