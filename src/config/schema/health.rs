//! The section `health`: checks that must pass for the server to be healthy.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::config::schema::interval::Interval;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    pub storagedriver: StorageDriver,
    pub file: Vec<FileCheck>,
    pub http: Vec<HttpCheck>,
    pub tcp: Vec<TcpCheck>,
}

/// Check that the data directory is usable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageDriver {
    pub enabled: bool,
    /// Interval between checks [default: 10s].
    pub interval: Option<Interval>,
    /// Consecutive failures before the server is unhealthy [default: 1].
    pub threshold: Option<u32>,
}

/// Check that fails while the file exists.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileCheck {
    pub file: PathBuf,
    #[serde(default)]
    pub interval: Option<Interval>,
}

/// Check that fails unless a `HEAD` request gets the expected status.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpCheck {
    pub uri: String,
    #[serde(default)]
    pub headers: BTreeMap<String, Vec<String>>,
    /// [default: 200]
    #[serde(default)]
    pub statuscode: Option<u16>,
    #[serde(default)]
    pub timeout: Option<Interval>,
    #[serde(default)]
    pub interval: Option<Interval>,
    #[serde(default)]
    pub threshold: Option<u32>,
}

/// Check that fails unless a connection is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpCheck {
    pub addr: String,
    #[serde(default)]
    pub timeout: Option<Interval>,
    #[serde(default)]
    pub interval: Option<Interval>,
    #[serde(default)]
    pub threshold: Option<u32>,
}
