//! The adoption of a registry: walks through all of its repositories while clients use it through this one, until nothing is missing.
//!
//! Its progress is in the database: after a restart the walk goes on with the repositories that it has not read, and content that is
//! here is not fetched again. The last walk finds nothing new.

use std::time::Duration;

use tokio::runtime::Handle;

use crate::import::error::Error;
use crate::import::importing::Importing;
use crate::import::remote::{Names, Presence, RemoteRegistry};
use crate::import::selection::Selection;
use crate::import::trouble::Failures;
use crate::import::waiter::{Stop, Waiter};
use crate::import::walk::{Walk, place};
use crate::import::walked::WalkedRegistry;
use crate::oci::RepositoryName;
use crate::registry::{self, WalkEnd};
use crate::threads::{blocking, low_priority};
use crate::upstream;

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
    pub walked: WalkedRegistry,
}

/// One walk through all repositories.
struct Run {
    adopter: Adopter,
    remote: RemoteRegistry,
    importing: Importing,
    failures: Failures,
}

impl Adopter {
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
                    match self.walked.allow.is_empty() {
                        true => {
                            tracing::info!(upstream = %self.walked.url, "adopted: everything is here, and the upstream may be removed from the configuration")
                        }
                        false => {
                            tracing::info!(upstream = %self.walked.url, "adopted: everything that allow names is here, and the upstream may be removed from the configuration")
                        }
                    }
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
        let sentence = WalkedRegistry::reason(error, "name them in allow");
        tracing::warn!(upstream = %self.walked.url, error = sentence, "the adoption waits");
        let upstreams = self.walked.registry.upstreams();
        let noted = upstreams.record_adoption_failure(self.walked.name(), sentence);
        if let Err(error) = noted.await {
            tracing::warn!(%error, "cannot record why the adoption waits");
        }
    }

    /// Walks once, from where it was.
    async fn walk(&self) -> Result<WalkEnd, Error> {
        let (waiter, stop) = Waiter::with_stop(Handle::current());
        let actor = self.walked.actor("adoption of");
        let run = Run {
            adopter: self.clone(),
            remote: self.walked.remote(),
            importing: self.walked.importing(actor, None, waiter)?,
            failures: Failures::default(),
        };
        let _stop: Stop = stop;
        blocking::run(move || run.walk())
            .await
            .map_err(|error| registry::Error::Internal(error.to_string()))?
    }
}

impl Run {
    /// Reads the repositories that are left. Blocks.
    fn walk(&self) -> Result<WalkEnd, Error> {
        let upstreams = self.adopter.walked.registry.upstreams();
        let name = self.adopter.walked.name();
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
            only: self.adopter.walked.allow.clone(),
            maps: Vec::new(),
        };
        let listing = self.remote.repositories(&selection);
        let names = match self.importing.waiter.wait(listing)?? {
            Names::Asked(names) | Names::Listed(names) => names,
        };
        let walked = &self.adopter.walked;
        let names = names.iter().filter(|name| walked.allows(name));
        let adopted: Vec<_> = names.map(|name| walked.adopted(name)).collect();
        // a login that may list nothing gets an empty list, too
        if adopted.is_empty() {
            let url = walked.url.clone();
            return Err(Error::NothingListed { url });
        }
        let upstreams = self.adopter.walked.registry.upstreams();
        self.importing
            .wait(upstreams.list_adopted(self.adopter.walked.name(), adopted))
    }

    /// Reads one repository, and records how far that came.
    fn repository(&self, name: &RepositoryName) -> Result<(), Error> {
        let Some(source) = self.adopter.walked.source(name) else {
            return Ok(());
        };
        self.adopter.walked.registry.check_writable()?;
        let walk = Walk::new(&self.importing, &self.adopter.walked.registry);
        let read = self
            .remote
            .read_one(&walk, &source, name, &self.importing.waiter);
        match read {
            Ok(presence) => {
                self.failures.end();
                // one that the registry lists may just have no tags
                let allow = &self.adopter.walked.allow;
                let is_named = allow.iter().any(|glob| glob.as_str() == source.as_str());
                if presence == Presence::Absent && is_named {
                    let place = place(&self.adopter.walked.url, &source);
                    walk.problems
                        .list(&place, upstream::Error::NotFound.to_string());
                }
            }
            Err(Error::Upstream { cause, .. }) if self.failures.may_go_on() => {
                walk.problems
                    .list(&place(&self.adopter.walked.url, &source), cause.to_string());
            }
            Err(error) => return Err(error),
        }
        let walked = walk.end(name)?;
        let upstreams = self.adopter.walked.registry.upstreams();
        let record = upstreams.record_walked(self.adopter.walked.name(), name, walked);
        self.importing.wait(record)
    }
}
