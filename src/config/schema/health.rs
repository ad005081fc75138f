//! Checks without which the server says that it is not well.

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

/// Whether the data directory can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageDriver {
    pub enabled: bool,
    /// Between two looks [default: 10s].
    pub interval: Option<Interval>,
    /// How many failures in a row count [default: 1].
    pub threshold: Option<u32>,
}

/// Not well while the file exists.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileCheck {
    pub file: PathBuf,
    #[serde(default)]
    pub interval: Option<Interval>,
}

/// Not well unless a `HEAD` is answered with the expected status.
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

/// Not well unless a connection is accepted.
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
