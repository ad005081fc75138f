//! Sources of the configuration that a command is about: the file named, or the running server's.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::cli::error::Error;
use crate::cli::from_config::defaults;
use crate::cli::owner;
use crate::cli::running_server::{self, RunningServer};
use crate::cli::terminal::output;

/// Prefix of the variables that override a configuration.
const VARIABLES: &[u8] = b"REGISTRY_";

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
