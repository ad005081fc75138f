//! The section `audit`, which is ours.

use serde::Deserialize;

use crate::config::schema::gc::KeepUntagged;

/// The audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// Time for which rows are kept.
    pub keep: Option<KeepUntagged>,
}
