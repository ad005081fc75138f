//! What is accepted from clients.

use serde::Deserialize;

/// Checks of manifests. What the specification asks for is checked always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Validation {
    /// Neither is needed: `disabled` takes the rules below out.
    pub enabled: Option<bool>,
    pub disabled: bool,
    pub manifests: ValidatedManifests,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ValidatedManifests {
    pub urls: Urls,
    pub indexes: Indexes,
}

/// Regular expressions for the `urls` of layers that are kept elsewhere. Where `allow` is given a URL must match one of
/// them; it must not match any of `deny`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Urls {
    pub allow: Vec<String>,
    pub deny: Vec<String>,
}

/// Which manifests of an index must be stored.
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
    /// Those of `platformlist`.
    List,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
}

/// `policy` (ours, about what is kept, are `policies`).
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

/// Of listings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Catalog {
    /// The largest page [default: 10000].
    pub maxentries: Option<usize>,
}

/// Of listings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tags {
    /// The largest page [default: 10000].
    pub maxtags: Option<usize>,
}
