//! Suggestion for an unknown key.

use std::cmp::Reverse;

use crate::config::keys::key::Status;
use crate::config::keys::lookup::{all, join, members, other_name};

/// Other words for keys: section, word, key.
const OTHER_WORDS: [(&str, &str, &str); 12] = [
    ("access.rules[]", "can", "may"),
    ("access.rules[]", "allow", "may"),
    ("access.rules[]", "actions", "may"),
    ("access.rules[]", "rights", "may"),
    ("access.rules[]", "role", "may"),
    ("access.rules[]", "user", "who"),
    ("access.rules[]", "users", "who"),
    ("access.rules[]", "networks", "from"),
    ("quotas[]", "size", "bytes"),
    ("quotas[]", "limit", "bytes"),
    ("audit", "retention", "keep"),
    ("audit", "history", "keep"),
];

/// Suggests the key or section that `name` in the section `path` was meant to be.
///
/// A similar name in the same section comes first, then the same or a similar name elsewhere, supported keys before others.
/// Case and underscores are ignored; names of distribution's source count too.
pub(in crate::config) fn nearest(path: &str, name: &str) -> Option<String> {
    let name = bare(name);
    let mut others = OTHER_WORDS.iter();
    if let Some((.., key)) = others.find(|(section, word, _)| *section == path && *word == name) {
        return Some(join(path, key));
    }
    let siblings = members(path).into_iter().map(|member| join(path, member));
    let sibling = siblings
        .filter_map(|sibling| Some((distance(&name, &sibling)?, sibling)))
        .min_by_key(|(distance, _)| *distance);
    if let Some((_, sibling)) = sibling {
        return Some(sibling);
    }
    let elsewhere = everything()
        .into_iter()
        .filter_map(|(found, is_supported)| {
            let distance = distance(&name, &found)?;
            // of keys with the same name, the closest in the tree
            Some((
                (
                    distance,
                    !is_supported,
                    Reverse(shared(&found, path)),
                    depth(&found),
                ),
                found,
            ))
        });
    elsewhere
        .min_by(|(one, _), (other, _)| one.cmp(other))
        .map(|(_, found)| found)
}

/// Returns all keys and sections, each with true if it holds a supported key.
fn everything() -> Vec<(String, bool)> {
    let mut found: Vec<(String, bool)> = Vec::new();
    for key in all() {
        let is_supported = key.status == Status::Supported;
        let ends = key
            .path
            .match_indices('.')
            .map(|(end, _)| end)
            .chain([key.path.len()]);
        for place in ends.map(|end| key.path[..end].trim_end_matches("[]")) {
            match found.iter_mut().find(|(known, _)| known == place) {
                Some((_, known)) => *known |= is_supported,
                None => found.push((place.to_owned(), is_supported)),
            }
        }
    }
    found
}

/// Edit distance between `name` and the last part of `path`, or `None` if they are too different.
fn distance(name: &str, path: &str) -> Option<usize> {
    let last = path.rsplit('.').next().unwrap_or_default();
    let names = [Some(last), other_name(path)];
    let near = names.into_iter().flatten().filter_map(|known| {
        let distance = strsim::osa_distance(name, &bare(known));
        (distance <= known.len().div_ceil(4)).then_some(distance)
    });
    near.min()
}

fn bare(name: &str) -> String {
    name.to_lowercase().replace(['_', '-'], "")
}

fn depth(path: &str) -> usize {
    path.split('.').count()
}

/// Number of leading parts that two paths share.
fn shared(one: &str, other: &str) -> usize {
    one.split('.')
        .zip(other.split('.'))
        .take_while(|(one, other)| one == other)
        .count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_nearest_key_is_the_one_that_was_meant() {
        for (path, name, meant) in [
            ("http", "adr", "http.addr"),
            ("http", "Addr", "http.addr"),
            ("http", "relative_urls", "http.relativeurls"),
            ("http.tls", "client-cas", "http.tls.clientcas"),
            ("", "storag", "storage"),
            ("", "addr", "http.addr"),
            ("", "htpasswd", "auth.htpasswd"),
            ("", "tls", "http.tls"),
            ("", "uploadpurging", "storage.maintenance.uploadpurging"),
            ("", "readonly", "storage.maintenance.readonly"),
            ("", "accesslog", "log.accesslog"),
            ("", "loglvl", "loglevel"),
            (
                "storage",
                "rootdirectory",
                "storage.filesystem.rootdirectory",
            ),
            ("storage", "readonly", "storage.maintenance.readonly"),
            ("storage.delete", "enable", "storage.delete.enabled"),
            ("auth", "realm", "auth.silly.realm"),
            ("auth.token", "cache", "auth.htpasswd.cache"),
            ("health", "HTTPCheckers", "health.http"),
            ("health", "filecheckers", "health.file"),
            ("notifications", "EventConfig", "notifications.events"),
            ("health.http[]", "intervall", "health.http[].interval"),
            ("access.rules[]", "can", "access.rules[].may"),
            ("access.rules[]", "Users", "access.rules[].who"),
            ("quotas[]", "limit", "quotas[].bytes"),
        ] {
            assert_eq!(nearest(path, name).as_deref(), Some(meant), "{path} {name}");
        }
        assert_eq!(nearest("http", "somethingelseentirely"), None);
    }

    /// One typo at `place`: a letter inserted, deleted or replaced, or two swapped.
    fn mistaken(name: &str, place: usize, kind: usize, letter: char) -> String {
        let mut letters: Vec<char> = name.chars().collect();
        let place = place % letters.len();
        match kind {
            0 => letters.insert(place, letter),
            1 if letters.len() > 1 => drop(letters.remove(place)),
            2 if letters.len() > 1 => letters.swap(place, (place + 1) % name.len()),
            _ => letters[place] = letter,
        }
        letters.into_iter().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn a_known_key_with_one_mistake_is_what_was_meant(
            index in any::<prop::sample::Index>(), place in 0_usize..40, kind in 0_usize..4, letter in "[a-z0-9_A-Z]"
        ) {
            let everything = everything();
            let (meant, _) = index.get(&everything);
            let (path, name) = meant.rsplit_once('.').unwrap_or(("", meant));
            let written = mistaken(name, place, kind, letter.chars().next().unwrap());
            // a swap at the ends is more than one mistake, and what is known is none
            prop_assume!(strsim::osa_distance(&written, name) == 1 && !members(path).contains(&&*written));
            let found = nearest(path, &written);
            // of two that are as near, either may have been meant
            let is_as_near = |found: &String| {
                found.rsplit_once('.').map_or("", |(section, _)| section) == path && distance(&bare(&written), found) <= distance(&bare(&written), meant)
            };
            prop_assert!(found.as_ref().is_some_and(is_as_near), "{} in '{}': {:?} and not {}", written, path, found, meant);
        }
    }
}
