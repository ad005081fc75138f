//! The configuration as an argument: by position, as in distribution, or as `--config`; or that of the running server.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::cli::error::Error;
use crate::cli::from_config::defaults;
use crate::cli::owner;
use crate::cli::running_server::{self, RunningServer};
use crate::cli::terminal::output;

/// Prefix of the variables that override a configuration.
const VARIABLES: &[u8] = b"REGISTRY_";

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

/// A configuration's file and the variables that override it.
pub(crate) struct Sources {
    pub file: Option<PathBuf>,
    pub environment: Vec<(OsString, OsString)>,
}

impl Sources {
    /// Finds the sources: the named file or this process's variables, or else those of the running server.
    ///
    /// # Errors
    /// Nothing is named, and several servers run, or one that this user may not look into.
    pub(crate) fn find(named: Option<PathBuf>) -> Result<Self, Error> {
        let environment: Vec<_> = std::env::vars_os().collect();
        let has_variables = environment
            .iter()
            .any(|(name, _)| name.as_bytes().starts_with(VARIABLES));
        if named.is_none()
            && !has_variables
            && let Some(served) = Self::of_running_server()?
        {
            return Ok(served);
        }
        Ok(Self {
            file: defaults::configuration(named),
            environment,
        })
    }

    fn of_running_server() -> Result<Option<Self>, Error> {
        let mut servers = RunningServer::all().into_iter();
        match (servers.next(), servers.next()) {
            (None, _) => match running_server::foreign_owner() {
                Some(owner) if owner::is_other_user(owner) => Err(Error::Other(format!(
                    "the running server is {}; or name a configuration",
                    owner::owned_by(owner)
                ))),
                _ => Ok(None),
            },
            (Some(server), None) => {
                let file = server.configuration();
                output::complain(&match &file {
                    Some(file) => format!("{} of the running server:", file.display()),
                    None => "the running server has no file, only variables:".to_owned(),
                });
                Ok(Some(Self {
                    file,
                    environment: server.environment(),
                }))
            }
            (Some(one), Some(other)) => {
                let shown = |server: RunningServer| match server.configuration() {
                    Some(file) => file.display().to_string(),
                    None => "variables only".to_owned(),
                };
                Err(Error::Other(format!(
                    "several servers are running, with {} and {}: name the configuration that you mean",
                    shown(one),
                    shown(other)
                )))
            }
        }
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
