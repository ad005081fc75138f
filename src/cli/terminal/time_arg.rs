//! Times as people type them.

use std::time::UNIX_EPOCH;

use tarkeep::registry::Millis;

use crate::cli::error::Error;

const MINUTE: Millis = 60_000;

/// Reads a time as RFC 3339 writes it (`2026-11-21T10:29:00Z`, `2026-11-21 12:29+02:00`), a date, which is its first
/// moment in UTC, or how long before `now` it was (`2h`, `14d`).
pub(crate) fn parse(text: &str, now: Millis) -> Result<Millis, Error> {
    let text = text.trim();
    let malformed = || {
        Error::Other(format!(
            "'{text}' is not a time: write 2026-11-21T10:29:00Z, 2026-11-21, or 2h for two hours ago"
        ))
    };
    if let Ok(ago) = humantime::parse_duration(text.strip_suffix("ago").unwrap_or(text).trim_end())
    {
        return Millis::try_from(ago.as_millis())
            .ok()
            .and_then(|ago| now.checked_sub(ago))
            .ok_or_else(malformed);
    }
    let (local, offset) = split_offset(text);
    let whole = match local.len() {
        10 => format!("{local}T00:00:00"),
        16 => format!("{local}:00"),
        _ => local.to_owned(),
    };
    let since_epoch = humantime::parse_rfc3339_weak(&whole)
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let millis = since_epoch
        .and_then(|time| Millis::try_from(time.as_millis()).ok())
        .ok_or_else(malformed)?;
    Ok(millis.saturating_sub(offset))
}

/// Cuts the zone off a time; with how far that is ahead of UTC.
fn split_offset(text: &str) -> (&str, Millis) {
    let ends_in_offset = text.len() > 16 && text.is_char_boundary(text.len() - 6);
    let (local, zone) = text.split_at(if ends_in_offset {
        text.len() - 6
    } else {
        text.len()
    });
    let number = |range: std::ops::Range<usize>| {
        zone.get(range)
            .and_then(|digits| digits.parse::<Millis>().ok())
    };
    match (zone.get(..1), number(1..3), zone.get(3..4), number(4..6)) {
        (Some(sign @ ("+" | "-")), Some(hours), Some(":"), Some(minutes)) => {
            let ahead = (hours * 60 + minutes) * MINUTE;
            (local, if sign == "+" { ahead } else { -ahead })
        }
        _ => (text.trim_end_matches('Z'), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for text in [
            "",
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
