//! Another registry through whose repositories a walk goes, and their names here.

use std::sync::Arc;

use crate::import::claims::Claims;
use crate::import::error::Error;
use crate::import::importing::Importing;
use crate::import::remote::RemoteRegistry;
use crate::import::report::Ledger;
use crate::import::waiter::Waiter;
use crate::oci::{Glob, RepositoryName};
use crate::registry::{Actor, AdoptedRepository, Registry, Way};
use crate::upstream::{self, Upstream};

/// Number of repositories that are read at once.
const THREADS: usize = 4;

/// Another registry through whose repositories a walk goes.
#[derive(Clone)]
pub struct WalkedRegistry {
    pub registry: Registry,
    pub upstream: Upstream,
    pub url: String,
    /// Name below which its repositories are; `None` where they keep their names.
    pub prefix: Option<RepositoryName>,
    /// Repositories there; empty for all.
    pub allow: Vec<Glob>,
}

impl WalkedRegistry {
    /// Returns its name: the prefix, or nothing.
    pub fn name(&self) -> &str {
        let prefix = self.prefix.as_ref();
        prefix.map_or("", RepositoryName::as_str)
    }

    /// Returns who a walk with a purpose is, in words.
    pub(super) fn actor(&self, purpose: &str) -> Actor {
        let place = self.prefix.as_ref();
        let place = place.map_or(&*self.url, RepositoryName::as_str);
        Actor::for_upstream(purpose, place)
    }

    /// Reports whether a repository there may be read.
    pub(super) fn allows(&self, source: &str) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|glob| glob.matches(source))
    }

    /// Returns the name that a repository there has here.
    pub(super) fn here(&self, source: &str) -> Option<RepositoryName> {
        let warn = |error| {
            tracing::warn!(upstream = %self.url, repository = source, %error, "a repository is left out");
        };
        RepositoryName::parse(&self.named(source))
            .map_err(warn)
            .ok()
    }

    /// Describes a repository there as one that is adopted.
    pub(super) fn adopted(&self, source: &str) -> AdoptedRepository {
        let name = self.named(source);
        let problem = RepositoryName::parse(&name).err();
        AdoptedRepository {
            place: format!("{}/{source}", self.url),
            problem: problem.map(|error| error.to_string()),
            name,
        }
    }

    fn named(&self, source: &str) -> String {
        match &self.prefix {
            Some(prefix) => format!("{prefix}/{source}"),
            None => source.to_owned(),
        }
    }

    /// Returns the name there of a repository here.
    pub(super) fn source(&self, name: &RepositoryName) -> Option<RepositoryName> {
        match &self.prefix {
            None => Some(name.clone()),
            Some(prefix) => {
                let rest = name.as_str().strip_prefix(prefix.as_str())?;
                RepositoryName::parse(rest.strip_prefix('/')?).ok()
            }
        }
    }

    /// Returns the registry as a source.
    pub(super) fn remote(&self) -> RemoteRegistry {
        RemoteRegistry::of(self.upstream.clone(), self.url.clone(), THREADS)
    }

    /// Returns what receives its content here.
    pub(super) fn importing(
        &self,
        actor: Actor,
        cached_from: Option<String>,
        waiter: Waiter,
    ) -> Result<Importing, Error> {
        self.registry.check_writable()?;
        Ok(Importing {
            registry: Some(self.registry.clone()),
            way: Some(Way::Copy),
            actor,
            ledger: Arc::<Ledger>::default(),
            claims: Claims::default(),
            moves_tags: false,
            cached_from,
            waiter,
        })
    }

    /// Returns why a walk cannot go on, in a sentence; `remedy` is for a registry that does not list its repositories.
    pub(super) fn reason(error: &Error, remedy: &str) -> String {
        match error {
            Error::Upstream { cause, .. } | Error::Login { cause, .. } => match cause {
                upstream::Error::Unauthorized(_) => {
                    format!("{cause}: see what username and passwordfile say")
                }
                cause => cause.to_string(),
            },
            Error::NoCatalog { cause, .. } => {
                format!("it does not list its repositories ({cause}): {remedy}")
            }
            error => error.to_string(),
        }
    }
}
