//! Former names of our own keys, and names that people expect of a key that is not there.

/// The two values that `never` could mean.
pub(in crate::config) const KEEP_OR_REMOVE: &str = "write 0s to remove untagged manifests once lease and grace period are over, or forever to keep them";

/// Continues a sentence about such a name in the section `path`; `None` for all other names.
pub(in crate::config) fn renamed(path: &str, name: &str, value: Option<&str>) -> Option<String> {
    if path == "audit" && matches!(name, "enabled" | "disabled") {
        return Some(
            "does not exist, because the audit log cannot be switched off: take it out, and set audit.keep for how long rows are kept"
                .to_owned(),
        );
    }
    if name != "untagged" || !matches!(path, "gc" | "policies[]") {
        return None;
    }
    Some(match value {
        Some("never") => format!(
            "is now keepuntagged; its value 'never' meant that untagged manifests are not kept: {KEEP_OR_REMOVE}"
        ),
        Some(value) => format!("is now keepuntagged: write keepuntagged: {value}"),
        None => "is now keepuntagged".to_owned(),
    })
}
