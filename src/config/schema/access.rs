//! The section `access`, which is ours.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Rules about who may do what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessSection {
    /// Users of each group.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Rules, which only add rights: their order means nothing.
    pub rules: Vec<AccessRule>,
}

/// Rights of some clients in some repositories.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessRule {
    /// Globs; the components `{user}` and `{claim.NAME}` stand for names of the client.
    pub repositories: Vec<String>,
    pub who: Vec<String>,
    /// Actions and roles.
    pub may: Vec<String>,
    /// Addresses and networks of the clients [default: all].
    #[serde(default)]
    pub from: Vec<String>,
}
