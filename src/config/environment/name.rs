//! Names of variables.

/// Prefix of variables that override keys.
pub(super) const PREFIX: &str = "REGISTRY_";

/// Variable that names the file.
pub const FILE_VARIABLE: &str = "REGISTRY_CONFIGURATION_PATH";

/// Returns the variable that sets a key: `REGISTRY_HEALTH_HTTP_0_URI` for `health.http[].uri`.
pub(in crate::config) fn name_of(path: &str) -> String {
    format!(
        "{PREFIX}{}",
        path.replace("[]", "_0").replace('.', "_").to_uppercase()
    )
}

/// Returns the name of the variable with its section replaced.
pub(super) fn with_section(name: &str, section: &str) -> String {
    let rest = name[PREFIX.len()..]
        .find('_')
        .map_or("", |end| &name[PREFIX.len() + end..]);
    format!("{}{rest}", name_of(section))
}
