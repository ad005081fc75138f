//! Settings of an upstream.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::helper::Helper;
use crate::oci::Glob;

/// Hosts by which people name Docker Hub.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];
/// Address of Docker Hub's registry.
const DOCKER_HUB_URL: &str = "https://registry-1.docker.io";

/// Settings of an upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// URL of the registry, `/v2/` aside.
    pub url: String,
    pub dialect: Dialect,
    /// PEM file with authorities that are trusted beside the system's.
    pub ca: Option<PathBuf>,
    /// Proxy instead of the one that the environment names.
    pub proxy: Option<String>,
    /// Logins, of which the first that fits a repository applies.
    pub logins: Vec<Login>,
    /// Token services, beside the registry's own, that get the login: hosts, with ports where they are not the standard ones.
    pub realms: Vec<String>,
    /// Servers, written alike, to which a public upstream may lead although they are in a private network.
    pub private_hosts: Vec<String>,
    /// Maximum time for the head of an answer, with connections, logins and redirects on the way to it.
    pub timeout: Duration,
    pub queue: Queue,
    /// Maximum time between two pieces of an answer.
    pub stall: Duration,
    /// Maximum number of requests at once, the content of blobs aside.
    pub concurrency: usize,
    /// Maximum number of blobs that are fetched at once.
    pub fetches: usize,
    /// Maximum number of requests in a second; `None` for no limit.
    pub rate: Option<NonZeroU32>,
    /// Maximum size of a manifest, in bytes.
    pub manifest_limit: usize,
}

impl Settings {
    /// Returns the settings for a URL: no login, a few requests at once.
    pub fn of(url: &str) -> Self {
        let host = url.split_once("://").map_or(url, |(_, rest)| rest);
        let is_hub = DOCKER_HUB.contains(&host.trim_end_matches('/'));
        let (url, dialect) = match is_hub {
            true => (DOCKER_HUB_URL, Dialect::DockerHub),
            false => (url, Dialect::Plain),
        };
        Self {
            url: url.to_owned(),
            dialect,
            ca: None,
            proxy: None,
            logins: Vec::new(),
            realms: Vec::new(),
            private_hosts: Vec::new(),
            timeout: Duration::from_secs(10),
            queue: Queue::Patient,
            stall: Duration::from_secs(30),
            concurrency: 8,
            fetches: 8,
            rate: None,
            manifest_limit: 4 << 20,
        }
    }
}

/// Limits of background work at an upstream, beside those of all requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackgroundLimits {
    /// Maximum number of requests at once, the content of blobs aside.
    pub concurrency: usize,
    /// Maximum number of blobs that are fetched at once.
    pub fetches: usize,
    /// Maximum number of requests in a second; `None` for no limit.
    pub rate: Option<NonZeroU32>,
}

impl BackgroundLimits {
    /// Limits that leave most places to clients.
    pub fn at(rate: Option<NonZeroU32>) -> Self {
        Self {
            concurrency: 4,
            fetches: 8,
            rate,
        }
    }
}

/// Time for which a request waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// As long as it takes.
    Patient,
    /// No longer than for the answer, both together: a client waits.
    Timed,
}

/// Ways in which registries differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// A registry that follows the specification.
    Plain,
    /// Docker Hub: names of one part begin with `library/`, its token service is another host, and a name that does not exist
    /// is answered with 401.
    DockerHub,
}

impl Dialect {
    /// Hosts whose token service belongs to the registry.
    pub(super) fn realms(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &[],
            Self::DockerHub => &["auth.docker.io"],
        }
    }
}

/// A login for some of an upstream's repositories.
#[derive(Clone, Debug, PartialEq)]
pub struct Login {
    /// Repositories by their names upstream; `None` for all.
    pub repositories: Option<Glob>,
    pub credentials: Credentials,
}

/// A user and a password, or the places of both.
#[derive(Clone, PartialEq)]
pub enum Credentials {
    Given {
        username: String,
        password: String,
    },
    /// A file that holds the password, read again for every login.
    PasswordFile {
        username: String,
        path: PathBuf,
    },
    /// A program that is asked.
    Helper(Arc<Helper>),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given { .. } => formatter.write_str("(secret)"),
            Self::PasswordFile { path, .. } => path.fmt(formatter),
            Self::Helper(helper) => helper.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_hub_has_several_names() {
        for url in [
            "docker.io",
            "https://docker.io/",
            "https://index.docker.io",
            DOCKER_HUB_URL,
        ] {
            let settings = Settings::of(url);
            assert_eq!(settings.dialect, Dialect::DockerHub, "{url}");
            assert_eq!(settings.url, DOCKER_HUB_URL);
        }
        assert_eq!(Settings::of("https://ghcr.io").dialect, Dialect::Plain);
    }

    #[test]
    fn passwords_are_not_shown() {
        let given = Credentials::Given {
            username: "ci".to_owned(),
            password: "hidden".to_owned(),
        };
        assert_eq!(format!("{given:?}"), "(secret)");
    }
}
