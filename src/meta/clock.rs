//! Times, as the database records them.

/// Milliseconds since 1970, by the registry's clock.
pub type Millis = i64;

/// Converts a duration to milliseconds; saturates.
pub fn millis(time: std::time::Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}
