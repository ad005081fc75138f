//! A key of the configuration, and its status.

use crate::config::source::{Content, Node};

/// A key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// `http.tls.key`; `health.http[].uri` where it is said of each item of a list.
    pub path: String,
    pub kind: Kind,
    pub status: Status,
    /// What holds where it is not given: as the file would have it, or in brackets for people.
    pub default: &'static str,
    /// One line of meaning.
    pub meaning: &'static str,
    /// Whether distribution does not know it.
    pub is_ours: bool,
    /// Whether its section is of no use without it.
    pub is_required: bool,
}

/// What can be said with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// Text that is shown without what may be secret in a URL.
    Url,
    /// Text that is never shown.
    Secret,
    /// Whether or not.
    Switch,
    /// A whole number, none below 0 and none above this.
    Count(u64),
    /// As distribution limits pages: what is not above 0 means the default.
    Page,
    /// A length of time.
    Time,
    /// A length of time, `never` or `forever`.
    Keep,
    /// One of these words, in whatever case.
    Word(&'static [&'static str]),
    /// A version of TLS.
    TlsVersion,
    /// Texts; a single one need not be a list.
    Texts,
    /// Of these words.
    Words(&'static [&'static str]),
    /// Names of headers, with the values of each.
    Headers,
    /// Headers whose values may be secret.
    SecretHeaders,
    /// Names and whatever is said of them.
    Fields,
    /// Nothing but `0.1`.
    Version,
    /// A section without keys.
    Nothing,
    /// Not looked into, as its status makes it superfluous.
    Anything,
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Supported,
    /// Read and said to have no effect, which this explains.
    Ignored(&'static str),
    /// Not started with, for this reason and with this alternative.
    Rejected(When, &'static str),
}

/// What of a key would make a difference, so that it is refused; anything less is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Anything, an empty section too.
    Named,
    /// Anything that is not empty.
    Given,
    /// A switch that is on.
    On,
    /// An item, or a list in a map, without `disabled: true`.
    Enabled,
}

impl When {
    pub(in crate::config) fn applies(self, node: &Node) -> bool {
        match self {
            Self::Named => true,
            Self::Given => !node.is_empty(),
            Self::On => {
                matches!(&node.content, Content::Scalar(scalar) if switch(&scalar.text) != Some(false))
            }
            Self::Enabled => match &node.content {
                Content::List(items) => items.iter().any(|item| !is_disabled(item)),
                Content::Map(members)
                    if members
                        .iter()
                        .all(|(name, _)| name.parse::<usize>().is_err()) =>
                {
                    members.iter().any(|(_, member)| self.applies(member))
                }
                _ => !node.is_empty(),
            },
        }
    }
}

fn is_disabled(item: &Node) -> bool {
    let disabled = item.member("disabled").map(|node| &node.content);
    matches!(disabled, Some(Content::Scalar(scalar)) if switch(&scalar.text) == Some(true))
        || item.is_empty()
}

/// Reads a switch as YAML 1.1, and so Go, has it.
pub(in crate::config) fn switch(text: &str) -> Option<bool> {
    match &*text.to_ascii_lowercase() {
        "true" | "yes" | "on" | "y" => Some(true),
        "false" | "no" | "off" | "n" => Some(false),
        _ => None,
    }
}
