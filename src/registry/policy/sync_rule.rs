//! Rules about what is fetched ahead from an upstream.

use std::fmt;
use std::time::Duration;

use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

use crate::oci::{Descriptor, Digest, Glob, PlatformName};
use crate::registry::policy::tag_policy::is_signature;

/// Annotation by which BuildKit names the image that an attestation is about.
const ABOUT: &str = "vnd.docker.reference.digest";

/// Content that is fetched ahead from an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncRule {
    /// Repositories by their names there.
    pub repository: Glob,
    /// Tags; empty for all.
    pub tags: Vec<Glob>,
    /// Range of versions that tags must be in, if one is given.
    pub versions: Option<VersionReq>,
    /// Platforms of an index; empty for all.
    pub platforms: Vec<PlatformName>,
    /// Time from one run to the next.
    pub every: Duration,
}

impl SyncRule {
    /// Reports whether it names a tag.
    pub fn names_tag(&self, tag: &str) -> bool {
        (self.tags.is_empty() || self.tags.iter().any(|glob| glob.matches(tag)))
            && self
                .versions
                .as_ref()
                .is_none_or(|range| version(tag).is_some_and(|version| range.matches(&version)))
    }

    /// Reports whether it names a tag of a repository there, or may have brought it as a signature.
    pub(in crate::registry) fn holds(&self, repository: &str, tag: &str) -> bool {
        self.repository.matches(repository) && (self.names_tag(tag) || is_signature(tag))
    }

    /// Reports whether a child of an index is to come, of all these.
    ///
    /// An attestation comes with its image, and so does whatever names no platform.
    pub fn wants_child(&self, child: &Digest, children: &[Descriptor]) -> bool {
        if self.platforms.is_empty() {
            return true;
        }
        let mut named = children
            .iter()
            .filter(|found| found.digest == child.as_str());
        named.any(|found| {
            let about = found.annotations.as_ref().and_then(|all| all.get(ABOUT));
            match about.and_then(|about| children.iter().find(|other| other.digest == *about)) {
                Some(image) => self.wants(image),
                None => self.wants(found),
            }
        })
    }

    fn wants(&self, child: &Descriptor) -> bool {
        child
            .platform
            .as_ref()
            .is_none_or(|platform| self.platforms.iter().any(|name| name.matches(platform)))
    }
}

/// Reads a tag as a version: `1.2.3`, `v1.2.3`, `1.2.3-rc1`; shorter ones name whatever is newest.
fn version(tag: &str) -> Option<Version> {
    Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()
}

impl fmt::Display for SyncRule {
    /// Writes what it names, in words that tell it from others.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |globs: &[Glob]| {
            let globs: Vec<_> = globs.iter().map(Glob::as_str).collect();
            globs.join(",")
        };
        f.write_str(self.repository.as_str())?;
        if !self.tags.is_empty() {
            write!(f, ":{}", all(&self.tags))?;
        }
        if let Some(versions) = &self.versions {
            write!(f, " {versions}")?;
        }
        for platform in &self.platforms {
            write!(f, " {platform}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(value: serde_json::Value) -> SyncRule {
        let mut whole = json!({ "repository": "a", "tags": [], "versions": null, "platforms": [],
            "every": { "secs": 1, "nanos": 0 } });
        let more = value.as_object().cloned().unwrap();
        whole.as_object_mut().unwrap().extend(more);
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn globs_and_ranges_name_tags() {
        let both = rule(json!({ "tags": ["v*", "2.*"], "versions": ">=1.2, <3" }));
        for (tag, is_named) in [
            ("v1.2.0", true),
            ("2.9.9", true),
            ("1.2.0", false),
            ("v1.1.9", false),
            ("v3.0.0", false),
            ("v2.0.0-rc1", false),
            ("v2", false),
            ("v2.0", false),
            ("v", false),
            ("latest", false),
        ] {
            assert_eq!(both.names_tag(tag), is_named, "{tag}");
        }
        let pre = rule(json!({ "versions": ">=2.0.0-0" }));
        assert!(pre.names_tag("2.0.0-rc1") && !pre.names_tag("2.1.0-rc1"));
        assert_eq!(both.to_string(), "a:v*,2.* >=1.2, <3");
        let signature = format!("sha256-{}.sig", "a".repeat(64));
        assert!(both.holds("a", "v1.2.0") && both.holds("a", &signature));
        assert!(!both.holds("b", "v1.2.0") && !both.holds("a", "latest"));
    }

    #[test]
    fn platforms_name_children_with_their_attestations() {
        let digest = |number: u8| format!("sha256:{}", number.to_string().repeat(64));
        let child = |number: u8, architecture: &str| json!({ "digest": digest(number), "platform": { "os": "linux", "architecture": architecture } });
        let unknown = json!({ "os": "unknown", "architecture": "unknown" });
        let about = |number: u8, image: u8| json!({ "digest": digest(number), "platform": unknown, "annotations": { ABOUT: digest(image) } });
        let children: Vec<Descriptor> = serde_json::from_value(json!([
            child(1, "amd64"),
            child(2, "arm64"),
            about(3, 1),
            about(4, 2),
            { "digest": digest(5) },
            about(6, 9),
        ]))
        .unwrap();
        let wanted = |platforms: serde_json::Value| {
            let rule = rule(json!({ "platforms": platforms }));
            let wants = |number: &u8| {
                let digest = Digest::parse(&digest(*number)).unwrap();
                rule.wants_child(&digest, &children)
            };
            (1..7_u8).filter(wants).collect::<Vec<_>>()
        };
        assert_eq!(wanted(json!([])), [1, 2, 3, 4, 5, 6]);
        assert_eq!(wanted(json!(["linux/amd64"])), [1, 3, 5]);
        assert_eq!(wanted(json!(["linux/arm64/v8"])), [2, 4, 5]);
        assert_eq!(wanted(json!(["linux/arm/v7"])), [5]);
    }
}
