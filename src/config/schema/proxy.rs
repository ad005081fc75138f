//! The section `proxy`.

use serde::Deserialize;

use crate::config::schema::interval::Interval;

/// The upstream of which the whole registry is a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Proxy {
    /// Its URL; without it the section means nothing.
    pub remoteurl: Option<String>,
    pub username: Option<String>,
    pub password: Option<String>,
    /// A credential helper instead.
    pub exec: Exec,
    /// Time after their last use for which images are kept; 0 for any time.
    pub ttl: Option<Interval>,
}

/// A program that tells a login, by the protocol of Docker's credential helpers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exec {
    pub command: Option<String>,
    /// Time for which its answer holds; 0 for no time, and without it until it is refused.
    pub lifetime: Option<Interval>,
}

impl Proxy {
    /// Returns the URL of the upstream, if there is one.
    pub fn url(&self) -> Option<&str> {
        self.remoteurl.as_deref().filter(|url| !url.is_empty())
    }
}
