//! Times in RFC 3339, as commands print them.

use std::time::SystemTime;

use jiff::Timestamp;

/// Parses a time; panics where there is none.
pub fn parse_time(text: &str) -> SystemTime {
    let time: Timestamp = text.parse().expect("a time in RFC 3339");
    time.into()
}

/// Formats a time with milliseconds.
pub fn format_time(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).expect("a time that jiff knows");
    format!("{time:.3}")
}
