//! Sources of the configuration that a command is about: the file named, or the running server's.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use tarkeep::config::{self, Config, Draft};

use crate::cli::error::Error;
use crate::cli::from_config::check::Flags;
use crate::cli::from_config::defaults;
use crate::cli::owner;
use crate::cli::running_server::{self, RunningServer};
use crate::cli::terminal::output;

/// Prefix of the variables that override a configuration.
const VARIABLES: &[u8] = b"REGISTRY_";

/// A configuration's file, and the variables and flags that override it.
pub(crate) struct Sources {
    pub file: Option<PathBuf>,
    pub environment: Vec<(OsString, OsString)>,
    pub flags: Flags,
    /// True if they are those of the running server.
    pub is_served: bool,
    /// The running server's data directory, if they are its.
    pub data_directory: Option<PathBuf>,
}

impl Sources {
    /// Finds the sources: the named file, flags or this process's variables, or else those of the running server.
    ///
    /// # Errors
    /// Nothing is named, and several servers run, or one that this user may not look into.
    pub(crate) fn find(named: Option<PathBuf>, flags: Flags) -> Result<Self, Error> {
        if named.is_none()
            && !flags.are_given()
            && !has_variables()
            && let Some(served) = Self::of_running_server()?
        {
            return Ok(served);
        }
        Ok(Self {
            file: defaults::configuration(named),
            environment: std::env::vars_os().collect(),
            flags,
            is_served: false,
            data_directory: None,
        })
    }

    /// Reads the configuration, with the flags over it.
    ///
    /// # Errors
    /// The file cannot be read, or is not YAML.
    pub(crate) fn draft(self) -> Result<Draft, config::Error> {
        let mut draft = Config::draft(self.file.as_deref(), self.environment.into_iter())?;
        self.flags.override_in(&mut draft);
        Ok(draft)
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
                    None => "the running server has no file, only flags and variables:".to_owned(),
                });
                Ok(Some(Self {
                    file,
                    environment: server.environment(),
                    flags: server.flags(),
                    is_served: true,
                    data_directory: server.data_directory(),
                }))
            }
            (Some(one), Some(other)) => {
                let shown = |server: RunningServer| match server.configuration() {
                    Some(file) => file.display().to_string(),
                    None => "flags and variables only".to_owned(),
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

/// Reports whether this process has variables that override a configuration.
pub(crate) fn has_variables() -> bool {
    let mut variables = std::env::vars_os();
    variables.any(|(name, _)| name.as_bytes().starts_with(VARIABLES))
}
