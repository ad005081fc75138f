//! The configuration as an argument: by position, as in distribution, or as `--config`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Commands whose arguments are names, so that a configuration among them is told by its name.
const WITH_NAMES: [&str; 11] = [
    "access", "ls", "inspect", "du", "rm", "restore", "tag", "why", "policy", "gc", "uploads",
];

/// A configuration.
#[derive(clap::Args)]
pub(crate) struct Configuration {
    /// The server's configuration, in distribution's format; REGISTRY_… variables override it [default: $REGISTRY_CONFIGURATION_PATH]
    #[arg(value_name = "CONFIG.yml", conflicts_with = "named")]
    position: Option<PathBuf>,
    /// Another way to name CONFIG.yml
    #[arg(long = "config", value_name = "CONFIG.yml")]
    named: Option<PathBuf>,
}

impl Configuration {
    /// Returns the path that was given.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.position.clone().or_else(|| self.named.clone())
    }
}

/// Turns the path of a configuration among names into a `--config` flag: `registry ls config.yml`.
///
/// It ends in `.yml` or `.yaml` and `is_file` is true for it.
pub(crate) fn with_flag(
    mut words: Vec<OsString>,
    is_file: impl Fn(&Path) -> bool,
) -> Vec<OsString> {
    let has_names = words
        .get(1)
        .and_then(|command| command.to_str())
        .is_some_and(|command| WITH_NAMES.contains(&command));
    if !has_names {
        return words;
    }
    for number in 2..words.len() {
        let word = Path::new(&words[number]);
        let is_configuration = word
            .extension()
            .is_some_and(|kind| kind == "yml" || kind == "yaml")
            && is_file(word);
        let is_value = words[number - 1] == "--config" || words[number - 1] == "--data-dir";
        if is_configuration && !is_value {
            let mut flag = OsString::from("--config=");
            flag.push(&words[number]);
            words[number] = flag;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_among_names_is_a_configuration() {
        for (given, meant) in [
            ("registry ls config.yml", "registry ls --config=config.yml"),
            (
                "registry rm team/app:v1 /etc/registry.yaml -y",
                "registry rm team/app:v1 --config=/etc/registry.yaml -y",
            ),
            (
                "registry gc --config config.yml",
                "registry gc --config config.yml",
            ),
            (
                "registry uploads rm config.yml team/app",
                "registry uploads rm --config=config.yml team/app",
            ),
            ("registry ls missing.yml", "registry ls missing.yml"),
            ("registry serve config.yml", "registry serve config.yml"),
            ("registry", "registry"),
        ] {
            let words = given.split(' ').map(OsString::from).collect();
            let meant: Vec<_> = meant.split(' ').map(OsString::from).collect();
            let is_file = |path: &Path| path != Path::new("missing.yml");
            assert_eq!(with_flag(words, is_file), meant, "{given}");
        }
    }
}
