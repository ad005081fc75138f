//! What somebody may have meant who wrote what is no key.

use std::cmp::Reverse;

use crate::config::keys::key::Status;
use crate::config::keys::lookup::{all, join, members, other_name};

/// The key, or section, that was perhaps meant by `name` in the section `path`: one of that section that is spelled alike,
/// one of that very name elsewhere, or one elsewhere that is spelled alike. Case and underscores make no difference, and the
/// names of distribution's source count beside those of the file. What is honoured goes before what is not.
pub(in crate::config) fn nearest(path: &str, name: &str) -> Option<String> {
    let name = bare(name);
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
            // of one name, the one that is nearest in the tree
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

/// Keys and the sections that they are in, and whether anything in them is honoured.
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

/// How much has to be changed in `name` for it to be the last name of `path`; none where it is too much.
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

/// How many steps two paths have in common.
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
        ] {
            assert_eq!(nearest(path, name).as_deref(), Some(meant), "{path} {name}");
        }
        assert_eq!(nearest("http", "somethingelseentirely"), None);
    }

    /// One mistake at `place`: a letter too much, too few or another one, or two in the wrong order.
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
