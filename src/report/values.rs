//! Values of reports: times, and makers of changes.

use std::fmt;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::registry::Millis;

/// Time as reports show it: RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Millis);

impl Time {
    /// Returns its day, `2026-11-21`.
    pub(super) fn day(self) -> String {
        self.to_string().chars().take(10).collect()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // a rule may ask for thousands of years
        let time = Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::MAX);
        write!(formatter, "{time:.3}")
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'d> Deserialize<'d> for Time {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time: Timestamp = text.parse().map_err(D::Error::custom)?;
        Ok(Self(time.as_millisecond()))
    }
}

/// Maker of a change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Who {
    pub name: Option<String>,
    pub address: Option<String>,
}
