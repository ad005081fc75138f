//! Look-up in the table of keys.

use std::sync::LazyLock;

use crate::config::keys::key::Key;
use crate::config::keys::{distribution_only, supported};

/// Every key, sections together.
pub fn all() -> &'static [Key] {
    static ALL: LazyLock<Vec<Key>> = LazyLock::new(|| {
        let mut keys = supported::keys();
        keys.extend(distribution_only::keys());
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
pub(in crate::config) fn find(path: &str) -> Option<&'static Key> {
    all().iter().find(|key| key.path == path)
}

/// The path of a member.
pub(in crate::config) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// Whether there are keys in items of `path`.
pub(in crate::config) fn is_list(path: &str) -> bool {
    all().iter().any(|key| {
        key.path
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with("[]."))
    })
}

/// The names that may stand in the section `path`, each once; none where it is no section.
pub(in crate::config) fn members(path: &str) -> Vec<&'static str> {
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
pub(in crate::config) fn alternatives(path: &str) -> &'static [&'static str] {
    match path {
        "storage" => &distribution_only::DRIVERS,
        "auth" => &["none", "silly", "htpasswd", "token"],
        _ => &[],
    }
}

/// The name that variables may use for a member of `path` beside the file's: distribution goes by the names of its source.
pub(in crate::config) fn other_name(path: &str) -> Option<&'static str> {
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
    use crate::config::keys::key::Status;

    #[test]
    fn every_key_is_there_once_and_is_either_a_key_or_a_section() {
        for (number, key) in all().iter().enumerate() {
            assert!(
                !all()[..number].iter().any(|other| other.path == key.path),
                "{} twice",
                key.path
            );
            let is_looked_into = key.status == Status::Supported;
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
                !key.path.contains('_') || key.status != Status::Supported,
                "no variable can name {}",
                key.path
            );
        }
    }
}
