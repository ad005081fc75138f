//! The `--data-dir` and `--config` flags of commands that work on the store, and opening it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tarkeep::config::{Config, Loaded};
use tarkeep::escape;
use tarkeep::registry::{self, Registry, RegistrySettings, Retention};

use crate::cli::error::Error;
use crate::cli::from_config::{self, defaults};
use crate::cli::owner;
use crate::cli::running_server::{self, RunningServer};
use crate::cli::sources;

/// The store that a command works on.
#[derive(clap::Args)]
pub(crate) struct Store {
    /// Data directory [default: the running server's, or else the one that a server would choose]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The server's configuration, which names the data directory and the retention rules
    #[arg(long, value_name = "CONFIG.yml")]
    config: Option<PathBuf>,
}

impl Store {
    /// Names a data directory, and the configuration if it is known.
    pub(crate) fn of(data_dir: PathBuf, config: Option<PathBuf>) -> Self {
        Self {
            data_dir: Some(data_dir),
            config,
        }
    }

    /// Returns these flags as they are typed, each after a space.
    pub(crate) fn flags(&self) -> String {
        let flag = |name: &str, path: &Option<PathBuf>| {
            path.as_ref().map_or_else(String::new, |path| {
                format!(" {name} {}", escape::shell(&path.to_string_lossy()))
            })
        };
        flag("--data-dir", &self.data_dir) + &flag("--config", &self.config)
    }

    /// Returns the configuration of the server on the store, named or of a running one; `None` if it is not known.
    pub(crate) fn server_configuration(&self) -> Option<Config> {
        let file = defaults::configuration(self.config.clone());
        if file.is_some() || sources::has_variables() {
            let draft = Config::draft(file.as_deref(), std::env::vars_os()).ok()?;
            return Some(draft.finish().ok()?.config);
        }
        let is_on_it = |server: &RunningServer| match (&self.data_dir, server.data_directory()) {
            (Some(named), Some(served)) => named.canonicalize().ok() == served.canonicalize().ok(),
            (None, served) => served.is_some(),
            (Some(_), None) => false,
        };
        let server = RunningServer::all().into_iter().find(is_on_it)?;
        let file = server.configuration();
        let mut draft = Config::draft(file.as_deref(), server.environment().into_iter()).ok()?;
        server.flags().override_in(&mut draft);
        Some(draft.finish().ok()?.config)
    }

    /// Opens the store; a server may be running.
    pub(crate) async fn open(self) -> Result<Registry, Error> {
        let (registry, _) = self.open_with_rules().await?;
        Ok(registry)
    }

    /// Opens the store, or creates it if it does not exist.
    ///
    /// Its files belong to this user: fails if the directory is another's.
    pub(crate) async fn open_or_create(self) -> Result<Registry, Error> {
        let (registry, _) = self.open_by(Registry::open, owner::check).await?;
        Ok(registry)
    }

    /// Opens the store if it exists.
    pub(crate) async fn open_if_there(self) -> Result<Option<Registry>, Error> {
        match self.open().await {
            Ok(registry) => Ok(Some(registry)),
            Err(Error::Registry(registry::Error::NoRegistry(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the store with its retention rules: those of the configuration or of variables, or else those of the last server
    /// on that directory.
    pub(crate) async fn open_with_rules(self) -> Result<(Registry, Retention), Error> {
        self.open_by(Registry::open_existing, |_| Ok(())).await
    }

    async fn open_by(
        self,
        open: fn(&Path, RegistrySettings) -> Result<Registry, registry::Error>,
        check: fn(&Path) -> Result<(), Error>,
    ) -> Result<(Registry, Retention), Error> {
        let file = defaults::configuration(self.config);
        let is_named = file.is_some();
        let (Loaded { config, .. }, rules) = Config::draft(file.as_deref(), std::env::vars_os())?
            .finish_with(from_config::registry::settings)?;
        let directory = directory(self.data_dir, &config)?;
        defaults::check_taken_over(&directory)?;
        check(&directory)?;
        // the owner may delete even if clients may not
        let settings = RegistrySettings {
            delete: true,
            ..rules
        };
        let own = settings.retention.clone();
        let registry =
            open(&directory, settings).map_err(|failure| owner::explained(failure, &directory))?;
        let rules = match is_named {
            true => None,
            false => registry.gc().recorded_manifest_rules().await?,
        };
        let registry = match rules {
            Some(rules) => registry.with_manifest_rules(rules),
            None => registry,
        };
        let sparse = match is_named {
            true => None,
            false => registry.gc().recorded_sparse().await?,
        };
        let registry = match sparse {
            Some(sparse) => registry.with_sparse(sparse),
            None => registry,
        };
        let reserve = match is_named || config.storage.reserve.is_some() {
            true => None,
            false => registry.gc().recorded_reserve().await?,
        };
        let registry = match reserve {
            Some(bytes) => registry.with_reserve(bytes),
            None => registry,
        };
        let recorded = if is_named || from_config::registry::names_retention(&config) {
            None
        } else {
            registry.gc().recorded_retention().await?
        };
        let retention = recorded.unwrap_or(own);
        Ok((registry.with_retention(retention.clone()), retention))
    }
}

/// Finds the data directory: the named one, the running server's, or the default.
fn directory(flag: Option<PathBuf>, config: &Config) -> Result<PathBuf, Error> {
    let named = flag.or_else(|| config.storage.filesystem.rootdirectory.clone());
    if let Some(named) = named {
        return Ok(named);
    }
    let served: BTreeSet<_> = RunningServer::all()
        .iter()
        .filter_map(RunningServer::data_directory)
        .collect();
    if served.len() > 1 {
        return Err(running_server::several(&served));
    }
    if let Some(only) = served.into_iter().next() {
        return Ok(only);
    }
    let directory = defaults::data_directory(None, config)?;
    if Registry::is_at(&directory) {
        return Ok(directory);
    }
    match running_server::foreign_owner() {
        Some(owner) if owner::is_other_user(owner) => Err(Error::Other(format!(
            "the running server is {}",
            owner::owned_by(owner)
        ))),
        _ => Ok(defaults::system_directory_of_others().unwrap_or(directory)),
    }
}
