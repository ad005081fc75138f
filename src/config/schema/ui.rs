//! The section `ui`: the page for people.

use serde::Deserialize;

use crate::config::schema::interval::Interval;

/// The page at `/ui/`. Ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ui {
    /// Serve it [default: true].
    pub enabled: Option<bool>,
    /// Let the page change something without a login, from anywhere, where there are no logins [default: false].
    pub anonymouschanges: bool,
    /// Time without use after which a login ends [default: 12h].
    pub idle: Option<Interval>,
    /// Time after which a login ends in any case [default: 168h].
    pub lifetime: Option<Interval>,
}
