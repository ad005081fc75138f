//! Look-up in the table of keys.

use std::sync::LazyLock;

use crate::config::keys::key::{Key, is_within};
use crate::config::keys::{distribution_only, supported};

/// Returns every key, grouped by section.
pub fn all() -> &'static [Key] {
    static ALL: LazyLock<Vec<Key>> = LazyLock::new(|| {
        let mut keys = supported::keys();
        keys.extend(distribution_only::keys());
        // sections keep the order of their first keys; ignored and rejected keys follow at the end of theirs
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

/// Returns the first part of a path.
pub fn section(path: &str) -> &str {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    &path[..end]
}

/// Finds a key by its path.
pub(in crate::config) fn find(path: &str) -> Option<&'static Key> {
    all().iter().find(|key| key.path == path)
}

/// Returns what is wrong with an empty section or key, if it must not be empty where it is given.
pub(in crate::config) fn fault_if_empty(path: &str) -> Option<&'static str> {
    let mut faults = supported::NEVER_EMPTY.iter();
    faults.find_map(|(key, fault)| (*key == path).then_some(*fault))
}

/// Reports whether a running server applies a change of `path` on reload.
///
/// `path` is a key (`storage.delete.enabled`), a member of one, or a list of sections (`policies`).
pub fn is_live(path: &str) -> bool {
    all()
        .iter()
        .find(|key| is_within(&key.path, path) || is_within(path, &key.path))
        .is_some_and(|key| key.is_live)
}

/// Reports whether only some keys of a list of sections are live.
pub(in crate::config) fn is_partly_live(list: &str) -> bool {
    let keys = || all().iter().filter(|key| is_within(&key.path, list));
    keys().any(|key| key.is_live) && keys().any(|key| !key.is_live)
}

/// Returns the path of a member of a section.
pub(in crate::config) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// True if `path` is a list of sections.
pub(in crate::config) fn is_list(path: &str) -> bool {
    all().iter().any(|key| {
        key.path
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with("[]."))
    })
}

/// Returns the distinct names in the section `path`, or nothing if it is not a section.
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

/// Returns the alternatives of a section that holds one of several: storage drivers, authentication methods.
///
/// In the file a name may stand for an empty section: `auth: none` is `auth: {none: {}}`.
pub(in crate::config) fn alternatives(path: &str) -> &'static [&'static str] {
    match path {
        "storage" => &distribution_only::DRIVERS,
        "auth" => &["none", "silly", "htpasswd", "token"],
        _ => &[],
    }
}

/// Returns the second name of `path` in variables, which is its name in distribution's source.
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
