//! The section `verify`, which is ours.

use serde::Deserialize;

use crate::config::schema::interval::Interval;

/// The server's own verification of what is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Verify {
    pub enabled: Option<bool>,
    /// Time from the end of a verification to the next one.
    pub every: Option<Interval>,
}
