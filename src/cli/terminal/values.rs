//! Values as people read them: sizes, counts, times and names.

use jiff::Timestamp;
use tarkeep::escape::OneLine;
use tarkeep::oci::Digest;
use tarkeep::registry::{Actor, Millis, UploadId, now};

use crate::cli::terminal::output::Screen;

/// Length of a short digest, in hexadecimal digits.
const SHORT_DIGEST: usize = 12;

pub(crate) use tarkeep::registry::shown_size as size;

/// Formats a count: `1 tag`, `2 tags`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Names the first items, and counts the others: `a, b and 3 more`.
pub(crate) fn few<T: ToString>(items: impl IntoIterator<Item = T>, most: usize) -> String {
    let mut items = items.into_iter();
    let named: Vec<_> = items
        .by_ref()
        .take(most)
        .map(|item| item.to_string())
        .collect();
    named_and_more(&named, items.count() as u64)
}

/// As [`few`], for items that are not all known.
pub(crate) fn named_and_more(named: &[String], more: u64) -> String {
    match more {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// Formats a time for a sentence: `2026-11-21T10:29:00Z`, on a terminal followed by ` (2 h ago)`, as tables there show it.
pub(crate) fn time(millis: Millis) -> String {
    match Screen::of_stdout() {
        Screen::Terminal { .. } => {
            format!("{} ({})", absolute(millis), relative(millis, now()))
        }
        Screen::Pipe => absolute(millis),
    }
}

/// Says how something comes back, and until when: `registry restore team/app brings it back until 2026-11-21T10:29:00Z`.
pub(crate) fn brings_back(command: &str, until: Millis) -> String {
    format!("{command} brings it back until {}", time(until))
}

/// Formats a time to be typed again: `2026-11-21T10:29:00Z`.
pub(crate) fn absolute(millis: Millis) -> String {
    format!("{:.0}", timestamp(millis))
}

/// Formats a time with milliseconds (`2026-11-21T10:29:00.123Z`), to tell close ones apart and to be typed again.
pub(crate) fn exact_time(millis: Millis) -> String {
    format!("{:.3}", timestamp(millis))
}

/// Formats a time for a table: relative on a terminal, in RFC 3339 elsewhere.
pub(crate) fn time_on(screen: Screen, millis: Millis) -> String {
    match screen {
        Screen::Terminal { .. } => relative(millis, now()),
        Screen::Pipe => exact_time(millis),
    }
}

/// Formats a digest for a table: 12 digits on a terminal, whole elsewhere.
pub(crate) fn digest_on(screen: Screen, digest: &Digest) -> String {
    match screen {
        Screen::Terminal { .. } => short_digest(digest.as_str()).to_owned(),
        Screen::Pipe => digest.to_string(),
    }
}

/// Formats the id of an upload for a table: its first eight digits on a terminal, whole elsewhere.
pub(crate) fn upload_on(screen: Screen, id: &UploadId) -> String {
    let whole = id.as_str();
    let shown = match screen {
        Screen::Terminal { .. } => whole.split_once('-').map_or(whole, |(start, _)| start),
        Screen::Pipe => whole,
    };
    shown.to_owned()
}

/// Returns the first digits of a digest, without its algorithm.
pub(crate) fn short_digest(digest: &str) -> &str {
    let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
    hex.get(..SHORT_DIGEST).unwrap_or(hex)
}

/// Formats the distance of a time from now: `2 h ago`, `in 3 d`.
pub(crate) fn relative(at: Millis, now: Millis) -> String {
    const SECOND: u64 = 1000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    const MONTH: u64 = 30 * DAY;
    const YEAR: u64 = 365 * DAY;
    let distance = at.abs_diff(now);
    let (unit, name) = match () {
        _ if distance < SECOND => return "now".to_owned(),
        _ if distance < MINUTE => (SECOND, "s"),
        _ if distance < HOUR => (MINUTE, "min"),
        _ if distance < 2 * DAY => (HOUR, "h"),
        _ if distance < 2 * MONTH => (DAY, "d"),
        _ if distance < 2 * YEAR => (MONTH, "mo"),
        _ => (YEAR, "y"),
    };
    let number = distance / unit;
    if at > now {
        format!("in {number} {name}")
    } else {
        format!("{number} {name} ago")
    }
}

/// Converts a time, clamped to the year 9999, because a rule may ask for thousands of years.
fn timestamp(millis: Millis) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}

/// Formats the actor of a change: name and address, as far as known.
pub(crate) fn actor(actor: &Actor) -> String {
    named(actor.name.as_deref(), actor.address.as_deref())
}

/// Formats who made a change, by name and address.
pub(crate) fn named(name: Option<&str>, address: Option<&str>) -> String {
    match (name, address) {
        (Some(name), Some(address)) => format!("{name} from {address}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "-".to_owned(),
    }
}

/// Escapes hidden characters and ends of lines in text of clients.
pub(crate) fn plain(text: &str) -> String {
    OneLine(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_500_000, "1.4 MiB"),
            (u64::MAX, "16384.0 PiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(absolute(1_795_256_940_000), "2026-11-21T10:29:00Z");
    }

    #[test]
    fn distances_have_one_unit() {
        const NOW: Millis = 1_795_256_940_000;
        const HOUR: Millis = 3_600_000;
        for (distance, text) in [
            (0, "now"),
            (-999, "now"),
            (-59_999, "59 s ago"),
            (-60_000, "1 min ago"),
            (-2 * HOUR, "2 h ago"),
            (-47 * HOUR, "47 h ago"),
            (-72 * HOUR, "3 d ago"),
            (-70 * 24 * HOUR, "2 mo ago"),
            (-800 * 24 * HOUR, "2 y ago"),
            (72 * HOUR, "in 3 d"),
        ] {
            assert_eq!(relative(NOW + distance, NOW), text);
        }
    }
}
