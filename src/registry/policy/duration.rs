//! Durations in the notation of the configuration.

use std::time::Duration;

/// Formats a duration as in the configuration (`14d`, `1h30m`, `500ms`), without fractions of a
/// millisecond.
pub(in crate::registry) fn format_duration(time: Duration) -> String {
    let mut rest = time.as_millis();
    let mut text = String::new();
    for (unit, millis) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ] {
        if rest >= millis {
            text += &format!("{}{unit}", rest / millis);
            rest %= millis;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_they_are_read() {
        for (seconds, text) in [
            (0.0, "0s"),
            (0.5, "500ms"),
            (90.0 * 86400.0, "90d"),
            (5400.0, "1h30m"),
            (90061.001, "1d1h1m1s1ms"),
        ] {
            assert_eq!(format_duration(Duration::from_secs_f64(seconds)), text);
        }
    }
}
