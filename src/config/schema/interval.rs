//! Durations.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

/// A duration in Go's notation, extended by days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Interval(pub Duration);

impl TryFrom<Value> for Interval {
    type Error = String;

    /// Parses `14d`, `1h30m`, `90s`, `1.5s`, `500ms`.
    ///
    /// # Errors
    /// Anything else, bare numbers included: Go reads them as nanoseconds, people as seconds.
    fn try_from(value: Value) -> Result<Self, String> {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let malformed = || format!("'{text}' is not a duration: write 14d, 1m30s or 500ms");
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(malformed());
        }
        let mut seconds = 0.0;
        while !rest.is_empty() {
            let digits = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .ok_or_else(malformed)?;
            let number: f64 = rest[..digits].parse().map_err(|_| malformed())?;
            rest = &rest[digits..];
            let unit = rest
                .find(|c: char| c.is_ascii_digit())
                .unwrap_or(rest.len());
            let factor = match &rest[..unit] {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86400.0,
                _ => return Err(malformed()),
            };
            seconds += number * factor;
            rest = &rest[unit..];
        }
        Duration::try_from_secs_f64(seconds)
            .map(Self)
            .map_err(|_| malformed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_as_go_does() {
        let read = |text: &str| Interval::try_from(Value::from(text)).map(|interval| interval.0);
        assert_eq!(read("1h2m3s"), Ok(Duration::from_secs(3723)));
        assert_eq!(read("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(read("250ms"), Ok(Duration::from_millis(250)));
        for malformed in ["", "s", "1", "1000", "1x", "-1s", "1s2"] {
            assert!(read(malformed).is_err(), "{malformed}");
        }
    }
}
