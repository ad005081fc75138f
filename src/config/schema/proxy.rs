//! The section `proxy`.

use serde::Deserialize;

/// The upstream of which the whole registry is a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Proxy {
    /// Its URL; without it the section means nothing.
    pub remoteurl: Option<String>,
    pub username: Option<String>,
    pub password: Option<String>,
}

impl Proxy {
    /// Returns the URL of the upstream, if there is one.
    pub fn url(&self) -> Option<&str> {
        self.remoteurl.as_deref().filter(|url| !url.is_empty())
    }
}
