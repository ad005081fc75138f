//! The sections `gc` and `policies`, which are ours.

use serde::Deserialize;
use serde_json::Value;

use crate::config::schema::interval::Interval;

/// Garbage collection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gc {
    /// Run garbage collection in the server.
    pub enabled: Option<bool>,
    /// Pause between two runs.
    pub interval: Option<Interval>,
    /// Time for which content is kept after a client was told that it exists.
    pub lease: Option<Interval>,
    /// Time for which content is kept after its last reference is removed.
    pub grace: Option<Interval>,
    /// Time for which untagged manifests are kept.
    pub keepuntagged: Option<KeepUntagged>,
    /// Time for which tag history is kept.
    pub history: Option<Interval>,
}

/// Rules for the repositories whose names match a glob.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub repositories: String,
    /// Overrides `gc.keepuntagged`.
    #[serde(default)]
    pub keepuntagged: Option<KeepUntagged>,
    /// Globs of tags that clients can neither move nor delete.
    #[serde(default)]
    pub immutable: Vec<String>,
    /// Allow the tag rules to remove immutable tags.
    #[serde(default)]
    pub expireimmutable: bool,
    /// The first rule that matches a tag applies; tags that match none are kept.
    #[serde(default)]
    pub tags: Vec<TagRule>,
}

/// Keeps matching tags if any of its conditions holds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagRule {
    /// Globs.
    #[serde(rename = "match")]
    pub tags: Vec<String>,
    #[serde(default)]
    pub always: bool,
    /// Keep this many of the newest.
    #[serde(default)]
    pub newest: Option<u64>,
    /// Keep those moved within this time.
    #[serde(default)]
    pub younger: Option<Interval>,
    /// Keep those pulled within this time.
    #[serde(default)]
    pub pulled: Option<Interval>,
}

/// Retention of untagged manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub enum KeepUntagged {
    For(Interval),
    Forever,
}

impl TryFrom<Value> for KeepUntagged {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value.as_str() {
            Some("forever") => Ok(Self::Forever),
            _ => Interval::try_from(value)
                .map(Self::For)
                .map_err(|error| format!("{error}, or forever")),
        }
    }
}
