//! Choice of one platform's image out of an index.

use std::fmt;

use crate::export::error::Error;
use crate::oci::{Descriptor, Platform};

/// Name of a platform: `OS/ARCHITECTURE[/VARIANT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformName {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl PlatformName {
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parts: Vec<_> = text.split('/').collect();
        let is_word = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
        };
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant.to_owned())),
            _ => return Err(Error::Platform(text.to_owned())),
        };
        if !parts.iter().all(is_word) {
            return Err(Error::Platform(text.to_owned()));
        }
        Ok(Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant,
        })
    }

    /// Reports whether an image for `platform` is one for this name; a name without variant means any.
    pub(super) fn matches(&self, platform: &Platform) -> bool {
        let wanted = self.variant.as_deref();
        self.os == platform.os
            && self.architecture == platform.architecture
            && (wanted.is_none() || wanted == variant(platform))
    }

    /// Finds the child of an index for this platform; of several variants the highest, as containerd does.
    pub(super) fn choose<'d>(&self, children: &'d [Descriptor]) -> Option<&'d Descriptor> {
        let mut best: Option<(Option<&str>, &Descriptor)> = None;
        for child in children {
            let Some(platform) = child.platform.as_ref().filter(|found| self.matches(found)) else {
                continue;
            };
            let variant = variant(platform);
            if best.is_none_or(|(present, _)| variant > present) {
                best = Some((variant, child));
            }
        }
        best.map(|(_, child)| child)
    }
}

/// Returns the variant of a platform; 64-bit ARM has one that is often left out.
fn variant(platform: &Platform) -> Option<&str> {
    let named = platform.variant.as_deref().filter(|text| !text.is_empty());
    named.or((platform.architecture == "arm64").then_some("v8"))
}

/// Lists the platforms of an index, for people.
pub(super) fn present(children: &[Descriptor]) -> String {
    let names: Vec<_> = children
        .iter()
        .filter_map(|child| child.platform.as_ref())
        .filter(|platform| platform.os != "unknown")
        .map(name_of)
        .collect();
    if names.is_empty() {
        "none that is named".to_owned()
    } else {
        names.join(", ")
    }
}

pub(super) fn name_of(platform: &Platform) -> String {
    let mut name = format!("{}/{}", platform.os, platform.architecture);
    if let Some(variant) = platform.variant.as_deref().filter(|text| !text.is_empty()) {
        name += "/";
        name += variant;
    }
    name
}

impl fmt::Display for PlatformName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(os: &str, architecture: &str, variant: Option<&str>) -> Descriptor {
        serde_json::from_value(serde_json::json!({
            "digest": format!("{os}{architecture}{}", variant.unwrap_or_default()),
            "platform": { "os": os, "architecture": architecture, "variant": variant },
        }))
        .unwrap()
    }

    #[test]
    fn the_fitting_child_is_chosen() {
        let children = [
            child("linux", "arm", Some("v6")),
            child("linux", "arm", Some("v7")),
            child("linux", "arm64", None),
            child("linux", "amd64", None),
            child("linux", "amd64", None),
            child("unknown", "unknown", None),
        ];
        for (name, chosen) in [
            ("linux/arm", Some("linuxarmv7")),
            ("linux/arm/v6", Some("linuxarmv6")),
            ("linux/arm/v5", None),
            ("linux/arm64", Some("linuxarm64")),
            ("linux/arm64/v8", Some("linuxarm64")),
            ("linux/amd64", Some("linuxamd64")),
            ("windows/amd64", None),
        ] {
            let found = PlatformName::parse(name).unwrap().choose(&children);
            assert_eq!(found.map(|child| &*child.digest), chosen, "{name}");
        }
        assert!(std::ptr::eq(
            PlatformName::parse("linux/amd64")
                .unwrap()
                .choose(&children)
                .unwrap(),
            &raw const children[3]
        ));
        assert_eq!(
            present(&children),
            "linux/arm/v6, linux/arm/v7, linux/arm64, linux/amd64, linux/amd64"
        );
    }

    #[test]
    fn other_texts_are_no_platforms() {
        for text in [
            "",
            "linux",
            "linux/",
            "/amd64",
            "linux/arm/v7/x",
            "linux/am d64",
        ] {
            assert!(PlatformName::parse(text).is_err(), "{text}");
        }
    }
}
