//! Times in RFC 3339, as commands print them.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// Parses a time; panics where there is none.
pub fn parse_time(text: &str) -> SystemTime {
    let time: Timestamp = text.parse().expect("a time in RFC 3339");
    let since_epoch = Duration::try_from(time.as_duration()).expect("a time after 1970");
    SystemTime::UNIX_EPOCH + since_epoch
}

/// Formats a time with milliseconds.
pub fn format_time(time: SystemTime) -> String {
    let since_epoch = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("a time after 1970");
    let millis = i64::try_from(since_epoch.as_millis()).expect("a time that jiff knows");
    let time = Timestamp::from_millisecond(millis).expect("a time that jiff knows");
    format!("{time:.3}")
}
