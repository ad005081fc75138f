//! The sections `validation`, `policy`, `catalog` and `tags`.

use serde::Deserialize;

/// Optional validation of manifests, beyond what the specification requires.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Validation {
    /// Overrides `disabled`, if set.
    pub enabled: Option<bool>,
    /// Turns off the rules below.
    pub disabled: bool,
    pub manifests: ValidatedManifests,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ValidatedManifests {
    pub urls: Urls,
    pub indexes: Indexes,
}

/// Regular expressions for the `urls` of layers.
///
/// A URL must match one of `allow`, unless that is empty, and none of `deny`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Urls {
    pub allow: Vec<String>,
    pub deny: Vec<String>,
}

/// Manifests of an index that must be stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Indexes {
    pub platforms: Platforms,
    pub platformlist: Vec<Platform>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platforms {
    #[default]
    All,
    None,
    /// The platforms in `platformlist`.
    List,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
}

/// The section `policy`; retention rules are in `policies`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContentPolicy {
    pub repository: RepositoryPolicy,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RepositoryPolicy {
    /// Kinds of content that may be pushed [default: all].
    pub classes: Vec<Class>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    Image,
    Plugin,
}

/// The list of repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Catalog {
    /// Maximum page size [default: 10000].
    pub maxentries: Option<usize>,
}

/// Lists of tags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tags {
    /// Maximum page size [default: 10000].
    pub maxtags: Option<usize>,
}
