//! A key of the configuration: its kind, status and meaning.

use crate::config::source::{Content, Node};

/// A key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// `http.tls.key`, or `health.http[].uri` for a key of list items.
    pub path: String,
    pub kind: Kind,
    pub status: Status,
    /// Default, as written in the file, or in parentheses if it can only be described.
    pub default: &'static str,
    /// One line for the reference, without a period.
    pub meaning: &'static str,
    /// True if distribution does not know it.
    pub is_ours: bool,
    /// True if its section requires it.
    pub is_required: bool,
    /// True if a running server applies a change on reload.
    pub is_live: bool,
}

/// Type of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// Text that is shown without user and query of a URL.
    Url,
    /// Text that is never shown.
    Secret,
    Switch,
    /// A whole number from 0 up to this maximum.
    Count(u64),
    /// A number of bytes, with or without a unit.
    Bytes,
    /// A page size; 0 and less mean the default, as in distribution.
    Page,
    /// A duration.
    Time,
    /// A duration; a number without unit is nanoseconds, as in distribution.
    GoTime,
    /// A URL; without a scheme it is ignored, as in distribution.
    BaseUrl,
    /// A duration, or `forever`.
    Keep,
    /// One of these words, in any case.
    Word(&'static [&'static str]),
    /// A TLS version.
    TlsVersion,
    /// A list of texts, or a single text.
    Texts,
    /// A list of these words.
    Words(&'static [&'static str]),
    /// Header names, with a list of values for each.
    Headers,
    /// Headers whose values may be secret.
    SecretHeaders,
    /// The same, where a value may be in a file or a variable.
    HeaderSources,
    /// Names, with a list of texts for each.
    Lists,
    /// Names with arbitrary values.
    Fields,
    /// `0.1`, the only version.
    Version,
    /// A section without keys.
    Nothing,
    /// Not validated, because the key is ignored or rejected.
    Anything,
}

/// Effect of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Supported,
    /// Accepted, with a note in the log that gives this reason.
    Ignored(&'static str),
    /// An error, with this reason and alternative.
    Rejected(When, &'static str),
}

/// Values of a rejected key that are rejected; all others change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Any value, even an empty section.
    Named,
    /// Any value that is not empty.
    Given,
    /// A list with an item that is not `disabled: true`.
    Enabled,
    /// As `Enabled`, unless each such item has one of these names; these have no effect for the reason that follows.
    EnabledExcept(&'static [&'static str], &'static str),
}

/// Effect of a rejected key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Effect {
    Rejected,
    /// None, for this reason.
    Ignored(&'static str),
    /// None, because the value is empty or switched off.
    Nothing,
}

impl When {
    pub(in crate::config) fn effect(self, node: &Node) -> Effect {
        let enabled = || match &node.content {
            Content::List(items) => items.iter().filter(|item| !is_disabled(item)).collect(),
            _ if node.is_empty() => Vec::new(),
            _ => vec![node],
        };
        match self {
            Self::Named => Effect::Rejected,
            Self::Given if node.is_empty() => Effect::Nothing,
            Self::Given => Effect::Rejected,
            Self::Enabled if enabled().is_empty() => Effect::Nothing,
            Self::Enabled => Effect::Rejected,
            Self::EnabledExcept(names, why) => {
                let enabled = enabled();
                match () {
                    () if enabled.is_empty() => Effect::Nothing,
                    () if enabled.iter().all(|item| is_named(item, names)) => Effect::Ignored(why),
                    () => Effect::Rejected,
                }
            }
        }
    }
}

/// True if `key` is `section`, or below it.
pub(in crate::config) fn is_within(key: &str, section: &str) -> bool {
    key.strip_prefix(section)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn is_named(item: &Node, names: &[&str]) -> bool {
    let name = item.member("name").map(|node| &node.content);
    matches!(name, Some(Content::Scalar(scalar)) if names.contains(&&*scalar.text))
}

fn is_disabled(item: &Node) -> bool {
    let disabled = item.member("disabled").map(|node| &node.content);
    matches!(disabled, Some(Content::Scalar(scalar)) if switch(&scalar.text) == Some(true))
        || item.is_empty()
}

/// Parses a boolean of YAML 1.1, as Go does.
pub(in crate::config) fn switch(text: &str) -> Option<bool> {
    match &*text.to_ascii_lowercase() {
        "true" | "yes" | "on" | "y" => Some(true),
        "false" | "no" | "off" | "n" => Some(false),
        _ => None,
    }
}
