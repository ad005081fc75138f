//! Rules for pushed manifests beyond the specification: distribution's `validation` and
//! `policy.repository`.

use std::collections::HashSet;

use regex::RegexSet;
use serde::{Deserialize, Serialize};

use crate::oci::{Descriptor, Manifest, MediaType, Platform};
use crate::registry::error::Error;

/// Rules for pushed manifests.
///
/// The default accepts everything that the specification allows. Stored as JSON in the database.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ManifestRules {
    pub urls: UrlRules,
    pub children: RequiredChildren,
    /// Accepted classes of content; empty for all.
    pub classes: Vec<ContentClass>,
}

/// Rules for descriptors with `urls`, whose content the registry need not hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub enum UrlRules {
    #[default]
    All,
    None,
    /// Accept http and https URLs without a fragment that match one of `allow`, if any, and none of
    /// `deny`.
    Matching {
        #[serde(with = "patterns")]
        allow: RegexSet,
        #[serde(with = "patterns")]
        deny: RegexSet,
    },
}

/// Regular expressions as JSON.
mod patterns {
    use regex::RegexSet;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    pub(super) fn serialize<S: Serializer>(set: &RegexSet, to: S) -> Result<S::Ok, S::Error> {
        set.patterns().serialize(to)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<RegexSet, D::Error> {
        RegexSet::new(Vec::<String>::deserialize(from)?).map_err(de::Error::custom)
    }
}

/// Children of an index that must exist when it is pushed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequiredChildren {
    #[default]
    All,
    None,
    /// Children with one of these operating systems and architectures.
    Platforms(Vec<(String, String)>),
}

/// Class of content, by the media type of an image's config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContentClass {
    Image,
    /// Plugin of the Docker engine.
    Plugin,
}

impl ManifestRules {
    /// Rejects manifests whose URLs or class the rules do not allow.
    pub(in crate::registry) fn check(&self, manifest: &Manifest) -> Result<(), Error> {
        let mut urls =
            descriptors(manifest).flat_map(|descriptor| descriptor.urls.iter().flatten());
        if let Some(url) = urls.find(|url| !self.urls.allows(url)) {
            return Err(Error::UrlRefused(url.clone()));
        }
        self.check_class(manifest)
    }

    fn check_class(&self, manifest: &Manifest) -> Result<(), Error> {
        // an index has no class: its children were checked
        let Some(config) = manifest
            .config
            .as_ref()
            .filter(|_| !self.classes.is_empty())
        else {
            return Ok(());
        };
        let class = match config.media_type.as_str() {
            MediaType::OCI_CONFIG | MediaType::DOCKER_CONFIG => ContentClass::Image,
            MediaType::DOCKER_PLUGIN => ContentClass::Plugin,
            _ => return Err(Error::ClassRefused(config.media_type.clone())),
        };
        if self.classes.contains(&class) {
            Ok(())
        } else {
            Err(Error::ClassRefused(config.media_type.clone()))
        }
    }

    /// Marks children as optional that the rules do not require.
    pub(in crate::registry) fn mark_optional_children(&self, manifest: &mut Manifest) {
        if self.children == RequiredChildren::All {
            return;
        }
        let children = manifest
            .children
            .iter()
            .filter(|child| self.children.needs(child.platform.as_ref()));
        let needed: HashSet<&str> = children.map(|child| child.digest.as_str()).collect();
        for reference in manifest
            .references
            .iter_mut()
            .filter(|reference| reference.is_child)
        {
            reference.is_optional |= !needed.contains(reference.digest.as_str());
        }
    }
}

impl UrlRules {
    fn allows(&self, url: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Matching { allow, deny } => {
                let scheme = url
                    .split_once("://")
                    .map(|(scheme, _)| scheme.to_ascii_lowercase());
                let is_plain = scheme.is_some_and(|scheme| scheme == "http" || scheme == "https")
                    && !url.contains('#');
                is_plain && (allow.is_empty() || allow.is_match(url)) && !deny.is_match(url)
            }
        }
    }
}

impl RequiredChildren {
    fn needs(&self, platform: Option<&Platform>) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Platforms(platforms) => platform.is_some_and(|child| {
                platforms.iter().any(|(os, architecture)| {
                    *os == child.os && *architecture == child.architecture
                })
            }),
        }
    }
}

fn descriptors(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
    manifest
        .config
        .iter()
        .chain(&manifest.layers)
        .chain(&manifest.children)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_rules_match_those_of_distribution() {
        let set = |patterns: &[&str]| RegexSet::new(patterns).unwrap();
        let matching = UrlRules::Matching {
            allow: set(&["^https?://([^/]+\\.)*example\\.com/"]),
            deny: set(&["^https?://evil\\."]),
        };
        for (url, is_allowed) in [
            ("https://example.com/a", true),
            ("http://mirror.example.com/a", true),
            ("https://evil.example.com/a", false),
            ("https://example.org/a", false),
            ("https://example.com/a#b", false),
            ("ftp://example.com/a", false),
            ("example.com/a", false),
            ("", false),
        ] {
            assert_eq!(matching.allows(url), is_allowed, "{url}");
            assert!(UrlRules::All.allows(url) && !UrlRules::None.allows(url));
        }
        let denying = UrlRules::Matching {
            allow: set(&[]),
            deny: set(&["evil"]),
        };
        assert!(denying.allows("https://example.com/") && !denying.allows("https://evil.com/"));
    }
}
