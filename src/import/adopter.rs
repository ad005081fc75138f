//! The adoption of a registry: walks through all of its repositories while clients use it through this one, until nothing is missing.
//!
//! Its progress is in the database: after a restart the walk goes on with the repositories that it has not read, and content that is
//! here is not fetched again. The last walk finds nothing new.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::import::claims::Claims;
use crate::import::error::Error;
use crate::import::importing::Importing;
use crate::import::remote::{Names, RemoteRegistry};
use crate::import::report::Ledger;
use crate::import::selection::Selection;
use crate::import::waiter::{Stop, Waiter};
use crate::import::walk::{Walk, place};
use crate::oci::{Glob, RepositoryName};
use crate::registry::{self, Actor, Registry, WalkEnd, Way};
use crate::threads::{blocking, low_priority};
use crate::upstream::Upstream;

/// Number of repositories that are read at once.
const THREADS: usize = 4;
/// Number of repositories after each other that may fail before the walk waits.
const FAILURES: u32 = 3;
/// First time to wait after a failure; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Longest time to wait while the registry cannot be read.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// First and longest time to wait before what is missing is tried again.
const FIRST_RETRY: Duration = Duration::from_secs(10);
const LONGEST_RETRY: Duration = Duration::from_secs(3600);

/// The adoption of one registry.
#[derive(Clone)]
pub struct Adopter {
    pub registry: Registry,
    pub upstream: Upstream,
    pub url: String,
    /// Name below which its repositories are; `None` where they keep their names.
    pub prefix: Option<RepositoryName>,
    /// Repositories there; empty for all.
    pub allow: Vec<Glob>,
}

/// One walk through all repositories.
struct Run {
    adopter: Adopter,
    remote: RemoteRegistry,
    importing: Importing,
    /// Repositories that have failed after each other.
    failures: AtomicU32,
}

impl Adopter {
    /// Returns its name: the prefix, or nothing.
    pub fn name(&self) -> &str {
        let prefix = self.prefix.as_ref();
        prefix.map_or("", RepositoryName::as_str)
    }

    /// Walks until nothing is missing, on a thread of lower priority.
    pub async fn run(self) {
        let work = move || async move { self.walk_all().await };
        if let Err(error) = low_priority::run("adoption", work).await {
            tracing::error!(%error, "no thread for the adoption of a registry");
        }
    }

    async fn walk_all(self) {
        let (mut failure, mut retry) = (FIRST_WAIT, FIRST_RETRY);
        loop {
            let wait = match self.walk().await {
                Ok(WalkEnd::Complete) => {
                    tracing::info!(upstream = %self.url, "adopted: everything is here, and the upstream may be removed from the configuration");
                    return;
                }
                Ok(WalkEnd::Unknown) => return,
                Ok(WalkEnd::HasNews) => {
                    (failure, retry) = (FIRST_WAIT, FIRST_RETRY);
                    continue;
                }
                Ok(WalkEnd::Lacking) => {
                    let wait = retry;
                    (failure, retry) = (FIRST_WAIT, (retry * 2).min(LONGEST_RETRY));
                    wait
                }
                Err(error) => {
                    self.note_failure(&error).await;
                    let wait = failure;
                    failure = (failure * 2).min(LONGEST_WAIT);
                    wait
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn note_failure(&self, error: &Error) {
        let sentence = match error {
            Error::Upstream { cause, .. } => cause.to_string(),
            Error::NoCatalog { cause, .. } => {
                format!("it does not list its repositories ({cause}): name them in allow")
            }
            error => error.to_string(),
        };
        tracing::warn!(upstream = %self.url, error = sentence, "the adoption waits");
        let upstreams = self.registry.upstreams();
        let noted = upstreams.record_adoption_failure(self.name(), sentence);
        if let Err(error) = noted.await {
            tracing::warn!(%error, "cannot record why the adoption waits");
        }
    }

    /// Walks once, from where it was.
    async fn walk(&self) -> Result<WalkEnd, Error> {
        self.registry.check_writable()?;
        let (waiter, stop) = Waiter::with_stop(Handle::current());
        let run = Run {
            adopter: self.clone(),
            remote: RemoteRegistry::of(self.upstream.clone(), self.url.clone(), THREADS),
            importing: Importing {
                registry: Some(self.registry.clone()),
                way: Some(Way::Copy),
                actor: self.actor(),
                ledger: Arc::<Ledger>::default(),
                claims: Claims::default(),
                moves_tags: false,
                waiter,
            },
            failures: AtomicU32::new(0),
        };
        let _stop: Stop = stop;
        blocking::run(move || run.walk())
            .await
            .map_err(|error| registry::Error::Internal(error.to_string()))?
    }

    fn actor(&self) -> Actor {
        let place = self.prefix.as_ref();
        let place = place.map_or(&*self.url, RepositoryName::as_str);
        Actor {
            name: Some(format!("adoption of {place}")),
            ..Actor::default()
        }
    }

    /// Returns the name that a repository there has here.
    fn here(&self, source: &str) -> Option<RepositoryName> {
        let name = match &self.prefix {
            Some(prefix) => RepositoryName::parse(&format!("{prefix}/{source}")),
            None => RepositoryName::parse(source),
        };
        let warn = |error| {
            tracing::warn!(upstream = %self.url, repository = source, %error, "a repository is not adopted");
        };
        name.map_err(warn).ok()
    }

    /// Returns the name there of a repository here.
    fn source(&self, name: &RepositoryName) -> Option<RepositoryName> {
        match &self.prefix {
            None => Some(name.clone()),
            Some(prefix) => {
                let rest = name.as_str().strip_prefix(prefix.as_str())?;
                RepositoryName::parse(rest.strip_prefix('/')?).ok()
            }
        }
    }
}

impl Run {
    /// Reads the repositories that are left. Blocks.
    fn walk(&self) -> Result<WalkEnd, Error> {
        let upstreams = self.adopter.registry.upstreams();
        let name = self.adopter.name();
        let all = self.importing.wait(upstreams.adoptions())?;
        let Some(state) = all.into_iter().find(|state| state.name == name) else {
            return Ok(WalkEnd::Unknown);
        };
        if state.completed_at.is_some() {
            return Ok(WalkEnd::Complete);
        }
        if !state.is_listed {
            self.list()?;
        }
        let left = self.importing.wait(upstreams.unwalked(name))?;
        self.remote.each(left, |name| self.repository(&name))?;
        self.importing.wait(upstreams.end_walk(name))
    }

    /// Lists the repositories of this walk.
    fn list(&self) -> Result<(), Error> {
        let selection = Selection {
            only: self.adopter.allow.clone(),
            maps: Vec::new(),
        };
        let listing = self.remote.repositories(&selection);
        let names = match self.importing.waiter.wait(listing)?? {
            Names::Asked(names) | Names::Listed(names) => names,
        };
        let allow = &selection.only;
        let is_allowed =
            |name: &&String| allow.is_empty() || allow.iter().any(|glob| glob.matches(name));
        let names = names.iter().filter(is_allowed);
        let here = names.filter_map(|name| self.adopter.here(name)).collect();
        let upstreams = self.adopter.registry.upstreams();
        self.importing
            .wait(upstreams.list_adopted(self.adopter.name(), here))
    }

    /// Reads one repository, and records how far that came.
    fn repository(&self, name: &RepositoryName) -> Result<(), Error> {
        let Some(source) = self.adopter.source(name) else {
            return Ok(());
        };
        self.adopter.registry.check_writable()?;
        let walk = Walk::new(&self.importing, &self.adopter.registry);
        let read = self
            .remote
            .read_one(&walk, &source, name, &self.importing.waiter);
        match read {
            Ok(_) => self.failures.store(0, Ordering::Relaxed),
            Err(Error::Upstream { cause, .. })
                if self.failures.fetch_add(1, Ordering::Relaxed) + 1 < FAILURES =>
            {
                walk.list_problem(&place(&self.adopter.url, &source), cause.to_string());
            }
            Err(error) => return Err(error),
        }
        let walked = walk.end(name)?;
        let upstreams = self.adopter.registry.upstreams();
        let record = upstreams.record_walked(self.adopter.name(), name, walked);
        self.importing.wait(record)
    }
}
