//! Choice of one platform's image out of an index.

use crate::oci::{Descriptor, Platform, PlatformName};

/// Finds the child of an index for a platform; of several variants the highest, as containerd does.
pub(super) fn choose<'d>(
    name: &PlatformName,
    children: &'d [Descriptor],
) -> Option<&'d Descriptor> {
    let mut best: Option<(Option<&str>, &Descriptor)> = None;
    for child in children {
        let Some(platform) = child.platform.as_ref().filter(|found| name.matches(found)) else {
            continue;
        };
        let variant = platform.variant();
        if best.is_none_or(|(present, _)| variant > present) {
            best = Some((variant, child));
        }
    }
    best.map(|(_, child)| child)
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
            let found = choose(&PlatformName::parse(name).unwrap(), &children);
            assert_eq!(found.map(|child| &*child.digest), chosen, "{name}");
        }
        assert!(std::ptr::eq(
            choose(&PlatformName::parse("linux/amd64").unwrap(), &children).unwrap(),
            &raw const children[3]
        ));
        assert_eq!(
            present(&children),
            "linux/arm/v6, linux/arm/v7, linux/arm64, linux/amd64, linux/amd64"
        );
    }
}
