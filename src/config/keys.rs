//! Every key there is: distribution's and ours, what becomes of each, and what it means.
//!
//! The one list that reading, variables, `config show` and `docs/configuration.md` go by.

mod foreign;
mod honoured;
mod nearest;

use std::sync::LazyLock;

use super::tree::{Content, Node};
pub(super) use nearest::nearest;

/// A key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// `http.tls.key`; `health.http[].uri` where it is said of each item of a list.
    pub path: String,
    pub kind: Kind,
    pub treatment: Treatment,
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
    /// Not looked into, as its treatment makes it superfluous.
    Anything,
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    Honoured,
    /// Read and said to have no effect, which this explains.
    Accepted(&'static str),
    /// Not started with, for this reason and with this alternative.
    Refused(When, &'static str),
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
    pub(super) fn applies(self, node: &Node) -> bool {
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
pub(super) fn switch(text: &str) -> Option<bool> {
    match &*text.to_ascii_lowercase() {
        "true" | "yes" | "on" | "y" => Some(true),
        "false" | "no" | "off" | "n" => Some(false),
        _ => None,
    }
}

/// Every key, sections together.
pub fn all() -> &'static [Key] {
    static ALL: LazyLock<Vec<Key>> = LazyLock::new(|| {
        let mut keys = honoured::keys();
        keys.extend(foreign::keys());
        // sections stay where they first appear, with what distribution alone has at their ends
        let order: Vec<String> = keys
            .iter()
            .map(|key| section(&key.path).to_owned())
            .collect();
        keys.sort_by_key(|key| {
            order
                .iter()
                .position(|section_there| section_there == section(&key.path))
        });
        keys
    });
    &ALL
}

/// The outermost part of a key.
pub fn section(path: &str) -> &str {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    &path[..end]
}

/// The key of this very path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    all().iter().find(|key| key.path == path)
}

/// The path of a member.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// Whether there are keys in items of `path`.
pub(super) fn is_list(path: &str) -> bool {
    all().iter().any(|key| {
        key.path
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with("[]."))
    })
}

/// The names that may stand in the section `path`, each once; none where it is no section.
pub(super) fn members(path: &str) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for key in all() {
        let rest = if path.is_empty() {
            Some(&*key.path)
        } else {
            key.path
                .strip_prefix(path)
                .and_then(|rest| rest.strip_prefix('.'))
        };
        let name = rest.map(section);
        names.extend(name.filter(|name| !names.contains(name)));
    }
    names
}

/// Sections that hold one thing of several, each a section of its own: storage drivers, ways to log in. A word may stand for
/// the section of that name, with nothing in it.
pub(super) fn alternatives(path: &str) -> &'static [&'static str] {
    match path {
        "storage" => &foreign::DRIVERS,
        "auth" => &["none", "silly", "htpasswd", "token"],
        _ => &[],
    }
}

/// The name that variables may use for a member of `path` beside the file's: distribution goes by the names of its source.
pub(super) fn other_name(path: &str) -> Option<&'static str> {
    const NAMES: [(&str, &str); 6] = [
        ("notifications.events", "EVENTCONFIG"),
        ("health.file", "FILECHECKERS"),
        ("health.http", "HTTPCHECKERS"),
        ("health.tcp", "TCPCHECKERS"),
        ("log.hooks[].options", "MAILOPTIONS"),
        ("compatibility.schema1.signingkeyfile", "TRUSTKEY"),
    ];
    NAMES
        .iter()
        .find(|(known, _)| *known == path)
        .map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_there_once_and_is_either_a_key_or_a_section() {
        for (number, key) in all().iter().enumerate() {
            assert!(
                !all()[..number].iter().any(|other| other.path == key.path),
                "{} twice",
                key.path
            );
            let is_looked_into = key.treatment == Treatment::Honoured;
            assert!(
                !is_looked_into || members(&key.path).is_empty() && !is_list(&key.path),
                "{} has members",
                key.path
            );
            assert!(
                !key.meaning.is_empty() && !key.meaning.ends_with('.'),
                "{}",
                key.path
            );
            assert!(
                !key.path.contains('_') || key.treatment != Treatment::Honoured,
                "no variable can name {}",
                key.path
            );
        }
    }
}
