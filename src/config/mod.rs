//! Configuration: distribution's `config.yml`, as far as its keys exist here, with our own sections beside them.
//!
//! A file, then `REGISTRY_…` variables over it; flags are the command line's and go over both. Nothing is passed over
//! in silence: a key that is not known is an error that names its line.

mod auth;
mod gc;
mod health;
mod http;
mod interval;
mod live;
mod log;
mod storage;
mod validation;

use std::ffi::OsString;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value};

pub use auth::{Auth, Htpasswd, Silly, Token};
pub use gc::{Gc, Policy, TagRule, Untagged};
pub use health::{FileCheck, Health, HttpCheck, StorageDriver, TcpCheck};
pub use http::{ClientAuth, DebugServer, H2c, Http, Http2, LetsEncrypt, Limits, MinimumTls, Net, Prometheus, Tls};
pub use interval::Interval;
pub use live::is_live;
pub use log::{AccessLog, Formatter, Level, Log};
pub use storage::{Cache, Delete, Filesystem, Maintenance, ReadOnly, Redirect, Storage, UploadPurging};
pub use validation::{
    Catalog, Class, Compatibility, ContentPolicy, Indexes, Platform, Platforms, RepositoryPolicy, Schema1, Tags, Urls, ValidatedManifests,
    Validation,
};

/// The prefix of variables that override keys: `REGISTRY_HTTP_ADDR` is `http.addr`.
const PREFIX: &str = "REGISTRY_";

/// Everything that can be set; every default is the one used without a file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Of the shape of this file: 0.1 is the only one there is.
    pub version: Option<Version>,
    pub log: Log,
    /// The older place of `log.level`.
    pub loglevel: Option<Level>,
    pub http: Http,
    pub storage: Storage,
    pub auth: Option<Auth>,
    pub health: Health,
    pub validation: Validation,
    pub policy: ContentPolicy,
    pub catalog: Catalog,
    pub tags: Tags,
    pub compatibility: Compatibility,
    pub manifests: Manifests,
    pub gc: Gc,
    /// Rules of some repositories; of several that match one, the first counts.
    pub policies: Vec<Policy>,
}

/// `0.1`, which YAML reads as a number and people sometimes quote.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Version {
    Number(f64),
    Text(String),
}

/// Ours: what manifests are accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Manifests {
    /// Accept manifests that name content which is not stored, as mirrors need.
    pub sparse: bool,
    /// The largest manifest, in bytes.
    pub limit: Option<usize>,
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("(secret)")
    }
}

/// A configuration as it was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// Sentences for the log about what was accepted and has no effect.
    pub notes: Vec<String>,
    /// What was given, by the file or by variables.
    tree: Value,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the configuration {path}: {cause}", path = .path.display())]
    Read { path: PathBuf, cause: std::io::Error },
    #[error("the configuration {path} is not valid: {cause}", path = .path.display())]
    File { path: PathBuf, cause: String },
    #[error("the variable {name} does not fit the configuration: {cause}")]
    Variable { name: String, cause: String },
    #[error("the configuration is not valid: {0}")]
    Tree(String),
    #[error("the configuration's version is {0}, only 0.1 is known")]
    Version(String),
}

impl Config {
    /// Reads `file`, if there is one, and lays the `REGISTRY_…` variables of `environment` over it.
    ///
    pub fn load(file: Option<PathBuf>, environment: impl Iterator<Item = (OsString, OsString)>) -> Result<Loaded, Error> {
        let mut tree = match file {
            Some(path) => read(path)?,
            None => Value::Object(Map::default()),
        };
        let named = environment.filter_map(|(name, value)| Some((name.into_string().ok().filter(|name| name.starts_with(PREFIX))?, value)));
        let (mut variables, foreign): (Vec<_>, Vec<_>) = named.partition(|(name, _)| is_section(&path_of(name)[0]));
        // so that REGISTRY_STORAGE, a whole section, comes before the keys inside it
        variables.sort();
        for (name, value) in variables {
            match value.into_string() {
                Ok(value) => overlay(&mut tree, &name, &value)?,
                Err(_) => return Err(Error::Variable { name, cause: "its value is not UTF-8".to_owned() }),
            }
        }
        let config: Self = serde_json::from_value(tree.clone()).map_err(|error| Error::Tree(error.to_string()))?;
        config.check_version()?;
        // Kubernetes makes some of those for every service called registry: no reason not to start, but worth a word
        let passed_over = |(name, _)| format!("the variable {name} names no section of the configuration and is passed over");
        Ok(Loaded { config, notes: foreign.into_iter().map(passed_over).collect(), tree })
    }

    /// The least severe messages that are logged.
    pub fn level(&self) -> Level {
        self.log.level.or(self.loglevel).unwrap_or_default()
    }

    fn check_version(&self) -> Result<(), Error> {
        match &self.version {
            Some(Version::Number(number)) if (number - 0.1).abs() > f64::EPSILON => Err(Error::Version(number.to_string())),
            Some(Version::Text(text)) if text != "0.1" => Err(Error::Version(text.clone())),
            _ => Ok(()),
        }
    }
}

fn read(path: PathBuf) -> Result<Value, Error> {
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(cause) => return Err(Error::Read { path, cause }),
    };
    let invalid = |error: serde_saphyr::Error| {
        let place = error.location().map(|place| format!("line {}: ", place.line())).unwrap_or_default();
        let cause = error.without_snippet().to_string();
        Error::File { path: path.clone(), cause: format!("{place}{}", cause.lines().next().unwrap_or_default()) }
    };
    // typed first, for the sake of the errors, which know their line; then as a tree that variables can change
    serde_saphyr::from_str::<Option<Config>>(&text).map_err(invalid)?;
    let mut tree: Value = serde_saphyr::from_str(&text).map_err(invalid)?;
    drop_empty(&mut tree);
    Ok(if tree.is_null() { Value::Object(Map::default()) } else { tree })
}

/// A section without anything in it says nothing.
fn drop_empty(tree: &mut Value) {
    if let Value::Object(members) = tree {
        members.retain(|_, member| !member.is_null());
        members.values_mut().for_each(drop_empty);
    }
}

/// `REGISTRY_HTTP_ADDR` as `http`, `addr`.
fn path_of(name: &str) -> Vec<String> {
    name.strip_prefix(PREFIX).unwrap_or(name).split('_').map(str::to_lowercase).collect()
}

/// Whether a key stands at the top of the file.
fn is_section(key: &str) -> bool {
    let alone = Value::Object(Map::from_iter([(key.to_owned(), Value::Null)]));
    // an unknown key is refused as such; a known one, at the most, for its value
    !serde_json::from_value::<Config>(alone).is_err_and(|error| error.to_string().starts_with("unknown field"))
}

fn overlay(tree: &mut Value, name: &str, value: &str) -> Result<(), Error> {
    let failed = |cause: String| Error::Variable { name: name.to_owned(), cause };
    let path = path_of(name);
    let parsed: Value = serde_saphyr::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    let mut changed = tree.clone();
    let mut place = &mut changed;
    for key in &path {
        if !place.is_object() {
            *place = Value::Object(Map::default());
        }
        place = &mut place[key.as_str()];
    }
    // an address or a path may look like a number or a boolean to YAML: as text it is tried as well
    *place = parsed;
    let mut outcome = serde_json::from_value::<Config>(changed.clone());
    if outcome.is_err() {
        let mut as_text = changed.clone();
        if let Some(place) = as_text.pointer_mut(&format!("/{}", path.join("/"))) {
            *place = Value::String(value.to_owned());
        }
        if serde_json::from_value::<Config>(as_text.clone()).is_ok() {
            outcome = serde_json::from_value(as_text.clone());
            changed = as_text;
        }
    }
    outcome.map_err(|error| failed(error.to_string()))?;
    *tree = changed;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn load(text: Option<&str>, variables: &[(&str, &str)]) -> Result<Config, Error> {
        let directory = tempfile::tempdir().unwrap();
        let file = text.map(|text| {
            let path = directory.path().join("config.yml");
            std::fs::write(&path, text).unwrap();
            path
        });
        Config::load(file, variables.iter().map(|(name, value)| (name.into(), value.into()))).map(|loaded| loaded.config)
    }

    #[test]
    fn the_file_everybody_has_is_read() {
        let text = "version: 0.1\nlog:\n  level: debug\nhttp:\n  addr: :5000\n  draintimeout: 1m30s\nstorage:\n  filesystem:\n    rootdirectory: /data\n  delete:\n    enabled: false\nmanifests:\n  sparse: true\n";
        let config = load(Some(text), &[]).unwrap();
        assert_eq!(config.http.addr.as_deref(), Some(":5000"));
        assert_eq!(config.http.draintimeout, Some(Interval(Duration::from_secs(90))));
        assert_eq!(config.storage.filesystem.rootdirectory, Some("/data".into()));
        assert!(!config.storage.delete.enabled && config.manifests.sparse);
        assert!(load(None, &[]).unwrap().storage.delete.enabled);
        assert!(load(Some(""), &[]).is_ok());
    }

    #[test]
    fn variables_go_over_the_file() {
        let text = "http: {addr: ':1'}\nstorage: {delete: {enabled: false}}";
        let variables = [
            ("REGISTRY_HTTP_ADDR", "127.0.0.1:2"),
            ("REGISTRY_STORAGE_DELETE_ENABLED", "true"),
            ("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "1234"),
            ("UNRELATED", "x"),
        ];
        let config = load(Some(text), &variables).unwrap();
        assert_eq!(config.http.addr.as_deref(), Some("127.0.0.1:2"));
        assert!(config.storage.delete.enabled);
        assert_eq!(config.storage.filesystem.rootdirectory, Some("1234".into()));
    }

    #[test]
    fn what_is_not_known_is_named() {
        let error = load(Some("version: 0.1\nhttp:\n  adr: :5000\n"), &[]).unwrap_err().to_string();
        assert!(error.contains("adr") && error.contains("line 3"), "{error}");
        let error = load(None, &[("REGISTRY_HTTP_ADR", "x")]).unwrap_err().to_string();
        assert!(error.contains("REGISTRY_HTTP_ADR") && error.contains("adr"), "{error}");
        assert!(matches!(load(Some("version: 0.2"), &[]), Err(Error::Version(_))));
        assert!(matches!(load(Some("a: [b"), &[]), Err(Error::File { .. })));
    }
}
