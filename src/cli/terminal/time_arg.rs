//! Times as people type them.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use tarkeep::registry::Millis;

use crate::cli::error::Error;

/// Parses a time: RFC 3339 (`2026-11-21T10:29:00Z`, `2026-11-21 12:29+02:00`), a date (midnight UTC), or a duration before
/// `now` (`2h`, `14d`) or after it (`+2h`).
pub(crate) fn parse(text: &str, now: Millis) -> Result<Millis, Error> {
    let text = text.trim();
    let time = match text.strip_prefix('+') {
        Some(span) => distance(span, now, Direction::After),
        None => {
            let ago = text.strip_suffix("ago").unwrap_or(text).trim_end();
            distance(ago, now, Direction::Before).or_else(|| absolute(text))
        }
    };
    time.map(Timestamp::as_millisecond)
        .ok_or_else(|| Error::Other(format!("'{text}' is not a time: write {}", example(text))))
}

/// Shows how a time is written, by the example of what was meant if that is clear.
fn example(text: &str) -> String {
    let length = text.strip_prefix('-').map(str::trim_start);
    match length.filter(|length| length.parse::<Span>().is_ok()) {
        Some(length) => format!("{length} for {length} ago, or +{length} for {length} from now"),
        None => {
            "2026-11-21T10:29:00Z, 2026-11-21, 2h for two hours ago, or +2h for two hours from now"
                .to_owned()
        }
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Before,
    After,
}

fn distance(text: &str, now: Millis, direction: Direction) -> Option<Timestamp> {
    let span: Span = text.parse().ok()?;
    // days have 24 hours in UTC
    let now = Timestamp::from_millisecond(now)
        .ok()?
        .to_zoned_datetime(TimeZone::UTC);
    let then = match direction {
        Direction::Before => now.checked_sub(span),
        Direction::After => now.checked_add(span),
    };
    let then = then.ok()?;
    (!span.is_negative()).then(|| then.timestamp())
}

fn absolute(text: &str) -> Option<Timestamp> {
    if let Ok(timestamp) = text.parse() {
        return Some(timestamp);
    }
    // jiff would ignore an offset or a zone here
    let is_local = text
        .get(10..)
        .is_some_and(|time| !time.contains(['+', '-', '[', 'Z', 'z']));
    let local: DateTime = text.parse().ok().filter(|_| is_local)?;
    TimeZone::UTC.to_timestamp(local).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Millis = 60_000;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now = 1_795_256_940_123;
        let read = |text: &str| parse(text, now).unwrap();
        let whole = 1_795_256_940_000;
        for text in [
            "2026-11-21T10:29:00Z",
            "2026-11-21 10:29:00",
            "2026-11-21T10:29",
            "2026-11-21T12:29:00+02:00",
            "2026-11-21 05:29-05:00",
        ] {
            assert_eq!(read(text), whole, "{text}");
        }
        assert_eq!(read("2026-11-21T10:29:00.123Z"), now);
        assert_eq!(read("2026-11-21"), whole - (10 * 60 + 29) * MINUTE);
        assert_eq!(read("2h"), now - 120 * MINUTE);
        assert_eq!(read("1d 2h ago"), now - 26 * 60 * MINUTE);
        assert_eq!(read("+1d 2h"), now + 26 * 60 * MINUTE);
        for text in [
            "",
            "+",
            "+2026-11-21",
            "yesterday",
            "2026-13-01",
            "10:29",
            "-2h",
            "2026-11-21T10:29:00+2",
        ] {
            assert!(parse(text, now).is_err(), "{text}");
        }
    }
}
