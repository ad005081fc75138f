//! The section `upstreams`, which is ours.

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::schema::interval::Interval;

/// Another registry, whose content appears below a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// Absent only for a registry that is adopted whose repositories keep their names.
    #[serde(default)]
    pub prefix: String,
    pub url: String,
    /// Host that clients name by `?ns=`.
    #[serde(default)]
    pub ns: Option<String>,
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub password: Option<String>,
    #[serde(default)]
    pub passwordfile: Option<PathBuf>,
    /// Address that leads to it alone.
    #[serde(default)]
    pub listen: Option<String>,
    /// Token services that get the login, beside the registry's own.
    #[serde(default)]
    pub realms: Vec<String>,
    /// Servers of a private network to which a public registry may lead.
    #[serde(default)]
    pub privatehosts: Vec<String>,
    /// Time for which a tag is not asked for again.
    #[serde(default)]
    pub fresh: Option<Interval>,
    #[serde(default)]
    pub timeout: Option<Interval>,
    /// PEM file: authorities that are trusted beside the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    #[serde(default)]
    pub proxy: Option<String>,
    /// Globs of repositories upstream [default: all].
    #[serde(default)]
    pub allow: Vec<String>,
    /// Move it here: what comes is one's own, and a walk brings the rest.
    #[serde(default)]
    pub adopt: bool,
    /// Maximum number of requests in a second that do not come from clients.
    #[serde(default)]
    pub rate: Option<u32>,
    /// Limits of what is cached of it.
    #[serde(default)]
    pub keep: Keep,
    /// Content that is fetched ahead of clients.
    #[serde(default)]
    pub sync: Vec<Ahead>,
}

/// Content that is fetched ahead of clients.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ahead {
    /// Glob of repositories upstream.
    pub repository: String,
    /// Globs of tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Range of versions that tags must be in.
    #[serde(default)]
    pub semver: Option<String>,
    /// Platforms of an index [default: all].
    #[serde(default)]
    pub platforms: Vec<String>,
    /// Time from one run to the next.
    #[serde(default)]
    pub every: Option<Interval>,
}

/// Limits of what is cached of an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    /// Time after their last use for which images are kept.
    pub unused: Option<Interval>,
    /// Maximum size of the blobs that images need, in bytes.
    pub size: Option<u64>,
}
