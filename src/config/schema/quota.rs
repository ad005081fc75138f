//! The section `quotas`, which is ours.

use serde::Deserialize;

/// Limit of the bytes that the repositories hold together whose names match a glob.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    pub repositories: String,
    pub bytes: u64,
}
