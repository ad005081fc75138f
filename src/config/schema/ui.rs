//! The section `ui`: the page for people.

use serde::Deserialize;

/// The page at `/ui/`. Ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ui {
    /// Serve it [default: true].
    pub enabled: Option<bool>,
}
