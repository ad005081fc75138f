//! Check that every reader of a manifest sees the same one.
//!
//! Go's `encoding/json`, and so every client written in Go, takes a key for a field's name if the two differ in case only.
//! Rules that look at `layers` would say nothing about `Layers`, which these clients pull.

use std::collections::HashSet;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Maximum number of keys of an object that readers know.
const KEYS: usize = 1000;

/// Part of a document, with the keys that readers know in it.
#[derive(Clone, Copy)]
enum Part {
    Manifest,
    Descriptor,
    Descriptors,
    Platform,
    Config,
    /// Settings of a container. People write its keys by hand, as `EntryPoint` in Nix, and only Go's clients run images: no
    /// key is wrong, but two that fold to each other are.
    Run,
    RootFs,
    HistoryEntry,
    History,
    /// Whatever no reader takes for a field of its own, such as annotations.
    Free,
}

/// Checks the keys of a manifest or index: each is the exact name of what it is read as, and occurs once.
///
/// # Errors
/// Names the key, and its place.
pub fn check_manifest(bytes: &[u8]) -> Result<(), serde_json::Error> {
    Part::Manifest.check(bytes)
}

/// Checks the keys of an image's config, as [`check_manifest`] does.
pub(super) fn check_config(bytes: &[u8]) -> Result<(), serde_json::Error> {
    Part::Config.check(bytes)
}

/// Checks the keys of a pushed image's config, as [`check_manifest`] does.
///
/// Bytes that are no JSON object are no config to any client, and pass.
///
/// # Errors
/// Names the key, and its place; also for an object that cannot be read here, but may be elsewhere.
pub fn check_image_config(bytes: &[u8]) -> Result<(), serde_json::Error> {
    let is_object = bytes.trim_ascii_start().starts_with(b"{");
    if is_object {
        check_config(bytes)
    } else {
        Ok(())
    }
}

impl Part {
    fn check(self, bytes: &[u8]) -> Result<(), serde_json::Error> {
        self.deserialize(&mut serde_json::Deserializer::from_slice(bytes))
    }

    /// Returns the keys that readers know, with what they hold (OCI image-spec 1.1, and Docker's lists and configs).
    fn keys(self) -> &'static [(&'static str, Self)] {
        match self {
            Self::Manifest => &[
                ("schemaVersion", Self::Free),
                ("mediaType", Self::Free),
                ("artifactType", Self::Free),
                ("config", Self::Descriptor),
                ("layers", Self::Descriptors),
                ("blobs", Self::Descriptors),
                ("manifests", Self::Descriptors),
                ("subject", Self::Descriptor),
                ("annotations", Self::Free),
            ],
            Self::Descriptor => &[
                ("mediaType", Self::Free),
                ("digest", Self::Free),
                ("size", Self::Free),
                ("urls", Self::Free),
                ("data", Self::Free),
                ("artifactType", Self::Free),
                ("platform", Self::Platform),
                ("annotations", Self::Free),
            ],
            Self::Platform => &[
                ("architecture", Self::Free),
                ("os", Self::Free),
                ("os.version", Self::Free),
                ("os.features", Self::Free),
                ("variant", Self::Free),
                ("features", Self::Free),
            ],
            Self::Config => &[
                ("created", Self::Free),
                ("author", Self::Free),
                ("architecture", Self::Free),
                ("os", Self::Free),
                ("os.version", Self::Free),
                ("os.features", Self::Free),
                ("variant", Self::Free),
                ("config", Self::Run),
                ("rootfs", Self::RootFs),
                ("history", Self::History),
                ("comment", Self::Free),
                ("container", Self::Free),
                ("container_config", Self::Run),
                ("docker_version", Self::Free),
            ],
            Self::RootFs => &[("type", Self::Free), ("diff_ids", Self::Free)],
            Self::HistoryEntry => &[
                ("created", Self::Free),
                ("created_by", Self::Free),
                ("author", Self::Free),
                ("comment", Self::Free),
                ("empty_layer", Self::Free),
            ],
            Self::Run | Self::History | Self::Descriptors | Self::Free => &[],
        }
    }

    /// Returns what the key holds.
    fn of<E: Error>(self, key: &str) -> Result<Self, E> {
        let folded = fold(key);
        let known = self
            .keys()
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(&folded));
        match known {
            None => Ok(Self::Free),
            Some((known, part)) if *known == key => Ok(*part),
            Some((known, _)) => Err(E::custom(format_args!(
                "the key {key:?} must be written {known:?}, which some clients take it for"
            ))),
        }
    }
}

/// Returns one form of all keys that Go's `encoding/json` takes for each other, as far as fields have ASCII names.
fn fold(key: &str) -> String {
    key.chars()
        .map(|char| match char {
            '\u{212a}' => 'k',
            '\u{17f}' => 's',
            char => char.to_ascii_lowercase(),
        })
        .collect()
}

impl<'de> DeserializeSeed<'de> for Part {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self {
            Self::Free => deserializer.deserialize_ignored_any(IgnoredAny).map(drop),
            _ => deserializer.deserialize_any(self),
        }
    }
}

/// Accepts every value: which type each key needs is checked where it is read.
impl<'de> Visitor<'de> for Part {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let part = self.of(&key)?;
            if seen.len() == KEYS {
                return Err(A::Error::custom(format_args!(
                    "an object has more than {KEYS} keys"
                )));
            }
            if !seen.insert(fold(&key)) {
                return Err(A::Error::custom(format_args!(
                    "the key {key:?} occurs twice, or once more in another case"
                )));
            }
            map.next_value_seed(part)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let element = match self {
            Self::Descriptors => Self::Descriptor,
            Self::History => Self::HistoryEntry,
            _ => Self::Free,
        };
        while list.next_element_seed(element)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_fold_to_a_known_one_are_rejected_where_it_is_known() {
        for text in [
            r#"{"Layers":[]}"#,
            r#"{"\u004cayers":[]}"#,
            r#"{"schemaver\u017fion":2}"#,
            r#"{"bloB\u017f":[]}"#,
            r#"{"config":{"URLs":[]}}"#,
            r#"{"layers":[{},{"Digest":""}]}"#,
            r#"{"manifests":[{"platform":{"OS":"linux"}}]}"#,
            r#"{"manifests":[{"platform":{"os.Features":[]}}]}"#,
            r#"{"subject":{"MEDIATYPE":""}}"#,
            r#"{"layers":[],"layers":[]}"#,
            r#"{"x-one":1,"X-One":2}"#,
            r#"{"kind":1,"\u212aind":2}"#,
        ] {
            check_manifest(text.as_bytes()).expect_err(text);
        }
        check_config(br#"{"OS":"linux"}"#).unwrap_err();
        for text in [
            r#"{"annotations":{"Layers":"","layers":"","LAYERS":""},"layers":[{"annotations":{"URLs":"","urls":""}}]}"#,
            r#"{"OS":"","urls":[],"x":{"Layers":[],"layers":[]},"config":{"Layers":[],"os":""}}"#,
            r#"{"l\u00e4yers":1,"layerz":2,"ｌayers":3}"#,
            "[]",
            r#"{"layers":{"Digest":1},"config":[{"Digest":1}]}"#,
        ] {
            check_manifest(text.as_bytes()).unwrap();
        }
        check_config(br#"{"os":"linux","config":{"OS":1,"Env":[]},"Layers":[]}"#).unwrap();
    }

    /// Configs as tools write them, shortened; the last is Nix's, with a key as people write it.
    #[test]
    fn configs_of_tools_pass() {
        for config in [
            r#"{"architecture":"amd64","config":{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"Tty":false,"Env":["PATH=/bin"],"Cmd":["sh"],"ArgsEscaped":true,"Image":"sha256:1","Volumes":{"/a":{},"/A":{}},"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":{"A":"1","a":"2"},"StopSignal":"SIGTERM","Shell":["sh"],"Healthcheck":{"Test":["NONE"]},"ExposedPorts":{"80/tcp":{}}},"container":"1","container_config":{"Hostname":"1","Cmd":["/bin/sh"]},"created":"2026-01-01T00:00:00Z","docker_version":"20.10.12","history":[{"created":"2026-01-01T00:00:00Z","created_by":"/bin/sh","empty_layer":true,"comment":"buildkit.dockerfile.v0"}],"os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:1"]},"variant":"v8"}"#,
            r#"{"moby.buildkit.buildinfo.v1":"e30=","moby.buildkit.cache.v0":"W10=","architecture":"arm64","os":"windows","os.version":"10.0","os.features":["win32k"],"rootfs":{"type":"layers","diff_ids":[]}}"#,
            r#"{"architecture":"","created":"0001-01-01T00:00:00Z","history":[{"created":"0001-01-01T00:00:00Z"}],"os":"","rootfs":{"type":"layers","diff_ids":[]},"config":{}}"#,
            r#"{"id":"1","parent":"2","Size":3,"created":null}"#,
            r#"{"architecture":"amd64","config":{"EntryPoint":["/nix/store/hello"],"workingDir":"/"},"os":"linux"}"#,
            "{}",
            "",
            "null",
            "[1]",
            "text",
        ] {
            check_image_config(config.as_bytes()).expect(config);
        }
    }

    #[test]
    fn configs_that_clients_may_see_differently_are_rejected() {
        for config in [
            r#"{"OS":"linux"}"#,
            r#" {"Config":{}}"#,
            r#"{"config":{"User":"1","user":"root"}}"#,
            r#"{"config":{"User":"1","U\u017fer":"root"}}"#,
            r#"{"config":{"Cmd":[],"Cmd":[]}}"#,
            r#"{"container_config":{"Env":[],"ENV":[]}}"#,
            r#"{"rootfs":{"Diff_IDs":[]}}"#,
            r#"{"history":[{},{"Empty_Layer":true}]}"#,
            r#"{"x":"\ud800","OS":"what Go reads and others do not"}"#,
        ] {
            check_image_config(config.as_bytes()).expect_err(config);
        }
        let deep = format!(r#"{{"x":{}{},"OS":""}}"#, "[".repeat(500), "]".repeat(500));
        check_image_config(deep.as_bytes()).unwrap_err();
    }

    #[test]
    fn an_object_has_a_limited_number_of_keys() {
        let object = |keys: usize| {
            let keys: Vec<_> = (0..keys).map(|key| format!("\"x{key}\":0")).collect();
            format!("{{\"config\":{{{}}}}}", keys.join(","))
        };
        check_manifest(object(KEYS).as_bytes()).unwrap();
        check_manifest(object(KEYS + 1).as_bytes()).unwrap_err();
    }
}
