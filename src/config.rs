//! Configuration: distribution's `config.yml`, as far as its keys exist here, with our own sections beside them.
//!
//! A file, then `REGISTRY_…` variables over it; flags are the command line's and go over both. Nothing is passed over
//! in silence: a key that is not known is an error that names its line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

/// The prefix of variables that override keys: `REGISTRY_HTTP_ADDR` is `http.addr`.
const PREFIX: &str = "REGISTRY_";

/// Everything that can be set; every default is the one used without a file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Of the shape of this file: 0.1 is the only one there is.
    pub version: Option<Version>,
    pub log: Log,
    pub http: Http,
    pub storage: Storage,
    pub manifests: Manifests,
    pub gc: Gc,
    /// Rules of some repositories; of several that match one, the first counts.
    pub policies: Vec<Policy>,
}

/// `0.1`, which YAML reads as a number and people sometimes quote.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Version {
    Number(f64),
    Text(String),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub level: Level,
}

/// The least severe messages that are logged.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// `HOST:PORT`; without a host, all of this machine's addresses.
    pub addr: Option<String>,
    /// How long requests in flight are waited for on the way out: `30s`, `1m30s`, `500ms`.
    pub draintimeout: Option<Interval>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    pub filesystem: Filesystem,
    pub delete: Delete,
    /// Bytes of free disk that uploads leave alone. Ours.
    pub reserve: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filesystem {
    pub rootdirectory: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delete {
    pub enabled: bool,
}

impl Default for Delete {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// Ours: what manifests are accepted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Manifests {
    /// Accept manifests that name content which is not stored, as mirrors need.
    pub sparse: bool,
    /// The largest manifest, in bytes.
    pub limit: Option<usize>,
}

/// Ours: what is collected, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gc {
    /// Whether the server collects by itself.
    pub enabled: Option<bool>,
    /// How long it rests between two passes.
    pub interval: Option<Interval>,
    /// How long clients may rely on having been told that something is there.
    pub lease: Option<Interval>,
    /// How long what was needed stays after it is not any more.
    pub grace: Option<Interval>,
    /// How long manifests without tags stay: a time, `never` or `forever`.
    pub untagged: Option<Untagged>,
    /// How long it is remembered what tags pointed at.
    pub history: Option<Interval>,
}

/// Ours: the rules of the repositories whose names match a glob.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub repositories: String,
    /// In place of `gc.untagged`.
    #[serde(default)]
    pub untagged: Option<Untagged>,
    /// Globs of tags that clients can neither move nor remove.
    #[serde(default)]
    pub immutable: Vec<String>,
    /// Whether the rules about tags may remove those all the same.
    #[serde(default)]
    pub expireimmutable: bool,
    /// Of the rules that match a tag, the first decides; a tag that none matches stays.
    #[serde(default)]
    pub tags: Vec<TagRule>,
}

/// Tags that match stay if any of these says so.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagRule {
    /// Globs.
    #[serde(rename = "match")]
    pub tags: Vec<String>,
    #[serde(default)]
    pub always: bool,
    /// So many of them.
    #[serde(default)]
    pub newest: Option<u64>,
    /// Those that were last moved within this time.
    #[serde(default)]
    pub younger: Option<Interval>,
    /// Those that were pulled within this time.
    #[serde(default)]
    pub pulled: Option<Interval>,
}

/// How long something stays that nothing holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub enum Untagged {
    Never,
    For(Interval),
    Forever,
}

impl TryFrom<Value> for Untagged {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value.as_str() {
            Some("never") => Ok(Self::Never),
            Some("forever") => Ok(Self::Forever),
            _ => Interval::try_from(value).map(Self::For).map_err(|error| format!("{error}, never or forever")),
        }
    }
}

/// A length of time, written as Go writes it, and in days as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Interval(pub Duration);

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
    /// Gives the names of variables that name no section as well: Kubernetes makes some of those for every service called
    /// registry, so they are no reason not to start, but worth a word.
    pub fn load(file: Option<PathBuf>, environment: impl Iterator<Item = (OsString, OsString)>) -> Result<(Self, Vec<String>), Error> {
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
        let config: Self = serde_json::from_value(tree).map_err(|error| Error::Tree(error.to_string()))?;
        config.check_version()?;
        Ok((config, foreign.into_iter().map(|(name, _)| name).collect()))
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

impl TryFrom<Value> for Interval {
    type Error = String;

    /// Reads `1h30m`, `90s`, `1.5s`, `500ms`. A bare number, which Go takes for nanoseconds and people for seconds, is
    /// refused.
    fn try_from(value: Value) -> Result<Self, String> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let malformed = || format!("'{text}' is not a length of time: write 14d, 1m30s or 500ms");
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(malformed());
        }
        let mut seconds = 0.0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(malformed)?;
            let number: f64 = rest[..digits].parse().map_err(|_| malformed())?;
            rest = &rest[digits..];
            let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let factor = match &rest[..unit] {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86400.0,
                _ => return Err(malformed()),
            };
            seconds += number * factor;
            rest = &rest[unit..];
        }
        Duration::try_from_secs_f64(seconds).map(Self).map_err(|_| malformed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: Option<&str>, variables: &[(&str, &str)]) -> Result<Config, Error> {
        let directory = tempfile::tempdir().unwrap();
        let file = text.map(|text| {
            let path = directory.path().join("config.yml");
            std::fs::write(&path, text).unwrap();
            path
        });
        Config::load(file, variables.iter().map(|(name, value)| (name.into(), value.into()))).map(|(config, _)| config)
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

    #[test]
    fn lengths_of_time_are_read_as_go_does() {
        let read = |text: &str| Interval::try_from(Value::from(text)).map(|interval| interval.0);
        assert_eq!(read("1h2m3s"), Ok(Duration::from_secs(3723)));
        assert_eq!(read("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(read("250ms"), Ok(Duration::from_millis(250)));
        for malformed in ["", "s", "1", "1000", "1x", "-1s", "1s2"] {
            assert!(read(malformed).is_err(), "{malformed}");
        }
    }
}
