//! Ours: what is collected, and what is kept.

use serde::Deserialize;
use serde_json::Value;

use crate::config::schema::interval::Interval;

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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
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
            _ => Interval::try_from(value)
                .map(Self::For)
                .map_err(|error| format!("{error}, never or forever")),
        }
    }
}
