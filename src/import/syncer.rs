//! Fetching ahead from an upstream what the configuration names, at intervals.
//!
//! The last run of each rule is in the database, so that a restart makes none before its time. What is here is not fetched again, and
//! a run that was cut off begins anew.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;

use crate::import::error::Error;
use crate::import::importing::Importing;
use crate::import::remote::{Names, Presence, RemoteRegistry};
use crate::import::selection::Selection;
use crate::import::sync_walk::SyncWalk;
use crate::import::trouble::Failures;
use crate::import::waiter::{Stop, Waiter};
use crate::import::walk::place;
use crate::import::walked::WalkedRegistry;
use crate::oci::RepositoryName;
use crate::registry::{self, Relisted, RepositorySource, Sync, SyncEnd, SyncRow, SyncRule, now};
use crate::threads::{blocking, low_priority};
use crate::upstream;

/// Maximum number of problems that are listed of one run.
const PROBLEMS: usize = 1000;
/// Longest time between two looks at the clock, which may be set.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// Pause after an error of this registry's database.
const RETRY: Duration = Duration::from_secs(5);

/// Runs that fetch ahead from one upstream.
#[derive(Clone)]
pub struct Syncer {
    pub walked: WalkedRegistry,
    pub rules: Vec<SyncRule>,
}

/// A run that has ended, for monitoring.
#[derive(Clone, Debug)]
pub struct SyncEnded {
    pub outcome: SyncOutcome,
    /// Tags that are gone since, and those that are there again.
    pub relisted: Vec<(RepositoryName, Relisted)>,
}

/// Outcome of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncOutcome {
    /// Success: everything that it names is here.
    Whole,
    /// Success, but for pieces that could not be brought.
    Partial,
    /// Failure: it comes again soon.
    Failed,
}

/// One run.
struct Run {
    walked: WalkedRegistry,
    rule: SyncRule,
    remote: RemoteRegistry,
    importing: Importing,
    failures: Failures,
    found: Mutex<Found>,
}

/// Findings of a run.
#[derive(Default)]
struct Found {
    end: SyncEnd,
    relisted: Vec<(RepositoryName, Relisted)>,
}

impl Syncer {
    /// Returns what is recorded of the rules.
    pub fn syncs(&self) -> Vec<Sync> {
        let rules = self.rules.iter().map(|rule| Sync {
            upstream: self.walked.name().to_owned(),
            url: self.walked.url.clone(),
            rule: rule.to_string(),
            every: i64::try_from(rule.every.as_millis()).unwrap_or(i64::MAX),
        });
        rules.collect()
    }

    /// Makes a run whenever one is due, one after the other, on a thread of lower priority; tells of the end of each.
    pub async fn run(self, ended: UnboundedSender<SyncEnded>) {
        let work = move || async move { self.run_all(&ended).await };
        if let Err(error) = low_priority::run("sync", work).await {
            tracing::error!(%error, "no thread to fetch ahead from an upstream");
        }
    }

    async fn run_all(&self, ended: &UnboundedSender<SyncEnded>) {
        let all = self.syncs();
        // what an earlier server, or one with other settings, was at has ended with it
        let upstreams = self.walked.registry.upstreams();
        while let Err(error) = upstreams.end_begun_syncs(&all).await {
            tokio::time::sleep(self.wait_for_database(&error)).await;
        }
        loop {
            let pause = match self.next(&all).await {
                Ok(Some((sync, rule, Duration::ZERO))) => match self.make(sync, rule).await {
                    Ok(run) => {
                        // nobody listens any more at the end of a server
                        let _ = ended.send(run);
                        continue;
                    }
                    Err(error) => self.wait_for_database(&error),
                },
                Ok(Some((.., wait))) => wait.min(LONGEST_WAIT),
                // they were taken out of the configuration
                Ok(None) => return,
                Err(error) => self.wait_for_database(&error),
            };
            tokio::time::sleep(pause).await;
        }
    }

    fn wait_for_database(&self, error: &registry::Error) -> Duration {
        tracing::warn!(upstream = %self.walked.url, %error, "cannot record what is fetched ahead");
        RETRY
    }

    /// Returns the rule whose run is due first, and the time until then.
    async fn next<'s>(
        &'s self,
        all: &'s [Sync],
    ) -> Result<Option<(&'s Sync, &'s SyncRule, Duration)>, registry::Error> {
        let rows = self.walked.registry.upstreams().syncs().await?;
        let now = now();
        let wait = |row: &SyncRow| {
            // a clock that was set back delays no run for longer
            let wait = row.next_at().map_or(0, |at| at - now).min(row.sync.every);
            Duration::from_millis(u64::try_from(wait).unwrap_or(0))
        };
        let known = all.iter().zip(&self.rules).filter_map(|(sync, rule)| {
            let row = rows.iter().find(|row| row.sync == *sync)?;
            Some((sync, rule, wait(row)))
        });
        Ok(known.min_by_key(|(.., wait)| *wait))
    }

    /// Makes a run, and records how it has ended.
    async fn make(&self, sync: &Sync, rule: &SyncRule) -> Result<SyncEnded, registry::Error> {
        let upstreams = self.walked.registry.upstreams();
        upstreams.begin_sync(sync).await?;
        let Found { end, relisted } = self.find(rule).await;
        let outcome = match &end {
            SyncEnd {
                failure: Some(error),
                ..
            } => {
                tracing::warn!(upstream = %self.walked.url, rule = sync.rule, error, "fetching ahead failed, and is tried again");
                SyncOutcome::Failed
            }
            end => {
                tracing::info!(
                    upstream = %self.walked.url,
                    rule = sync.rule,
                    repositories = end.repositories,
                    tags = end.tags,
                    missing_tags = end.missing_tags,
                    problems = end.problems.len(),
                    first_problem = end.problems.first().map(|(place, problem)| format!("{place}: {problem}")),
                    "fetched ahead"
                );
                match end.problems.is_empty() {
                    true => SyncOutcome::Whole,
                    false => SyncOutcome::Partial,
                }
            }
        };
        upstreams.end_sync(sync, end).await?;
        Ok(SyncEnded { outcome, relisted })
    }

    /// Makes a run.
    async fn find(&self, rule: &SyncRule) -> Found {
        let (waiter, stop) = Waiter::with_stop(Handle::current());
        let actor = self.walked.actor("sync of");
        let importing = self
            .walked
            .importing(actor, Some(self.walked.url.clone()), waiter);
        let _stop: Stop = stop;
        let read = match importing {
            Err(error) => Err(error),
            Ok(importing) => {
                let run = Run {
                    walked: self.walked.clone(),
                    rule: rule.clone(),
                    remote: self.walked.remote(),
                    importing,
                    failures: Failures::default(),
                    found: Mutex::default(),
                };
                let read = blocking::run(move || run.read()).await;
                read.map_err(|error| registry::Error::Internal(error.to_string()).into())
            }
        };
        read.unwrap_or_else(|error| {
            let mut found = Found::default();
            found.end.failure = Some(reason(&error));
            found
        })
    }
}

fn reason(error: &Error) -> String {
    WalkedRegistry::reason(error, "name its repositories one by one in sync")
}

impl Run {
    /// Reads what the rule names. Blocks.
    fn read(self) -> Found {
        let outcome = self
            .sources()
            .and_then(|sources| self.remote.each(sources, |source| self.repository(&source)));
        let mut found = self.found.into_inner();
        if let Err(error) = outcome {
            found.end.failure = Some(reason(&error));
        }
        let (end, place) = (&mut found.end, &self.walked.url);
        if end.failure.is_none() && end.tags == 0 && end.problems.is_empty() {
            let problem = match end.repositories {
                0 => "the rule names no repository that is there, and that allow permits",
                _ => "the rule names none of the tags there",
            };
            end.problems.push((place.clone(), problem.to_owned()));
        }
        found
    }

    /// Lists the repositories there that the rule names.
    fn sources(&self) -> Result<Vec<RepositoryName>, Error> {
        let selection = Selection {
            only: vec![self.rule.repository.clone()],
            maps: Vec::new(),
        };
        let listing = self.remote.repositories(&selection);
        let names = match self.importing.waiter.wait(listing)?? {
            Names::Asked(names) | Names::Listed(names) => names,
        };
        let named = names
            .iter()
            .filter(|name| self.rule.repository.matches(name))
            .filter_map(|name| RepositoryName::parse(name).ok())
            .filter(|source| {
                self.walked
                    .allows(self.walked.upstream.name(source).as_str())
            });
        Ok(named.collect())
    }

    /// Reads one repository.
    fn repository(&self, source: &RepositoryName) -> Result<(), Error> {
        let Some(name) = self.walked.here(source.as_str()) else {
            return Ok(());
        };
        let registry = &self.walked.registry;
        registry.check_writable()?;
        let (walk, place) = (
            SyncWalk::new(&self.importing, &self.walked, &self.rule),
            place(&self.walked.url, source),
        );
        let is_own = self.importing.wait(registry.repositories().source(&name))?
            == Some(RepositorySource::Own);
        if is_own {
            let problem = format!("{name} is one's own here, and takes nothing from an upstream");
            walk.problems.list(&place, problem);
            self.note(walk, None);
            return Ok(());
        }
        let read = self
            .remote
            .read_one(&walk, source, &name, &self.importing.waiter);
        let failure = match read {
            Ok(presence) => {
                if presence == Presence::Absent {
                    let problem = upstream::Error::NotFound.to_string();
                    walk.problems.list(&place, problem);
                }
                // a list that was refused says nothing of its tags
                if presence != Presence::Refused {
                    self.mark_gone(&walk, &name)?;
                }
                self.failures.end();
                None
            }
            Err(Error::Upstream { cause, .. }) if self.failures.may_go_on() => {
                walk.problems.list(&place, cause.to_string());
                Some(cause.to_string())
            }
            Err(Error::Registry(error @ registry::Error::QuotaExceeded { .. })) => {
                walk.problems.list(&place, error.to_string());
                None
            }
            Err(error) => {
                self.note(walk, None);
                return Err(error);
            }
        };
        self.note(walk, failure);
        Ok(())
    }

    /// Marks the tags here that the upstream does not list any more.
    fn mark_gone(&self, walk: &SyncWalk<'_>, name: &RepositoryName) -> Result<(), Error> {
        let listed = walk.seen.lock().listed.clone();
        let upstreams = self.walked.registry.upstreams();
        let is_named = |tag: &str| self.rule.names_tag(tag);
        let marking = upstreams.mark_unlisted(name, &listed, is_named);
        let relisted = self.importing.wait(marking)?;
        self.found.lock().relisted.push((name.clone(), relisted));
        Ok(())
    }

    /// Notes what a walk has found, and what keeps the run from going through.
    fn note(&self, walk: SyncWalk<'_>, failure: Option<String>) {
        let (seen, settled) = (walk.seen.into_inner(), walk.settled.into_inner());
        let problems = walk.problems.into_inner();
        let end = &mut self.found.lock().end;
        end.repositories += 1;
        end.tags += seen.named;
        end.missing_tags += seen.named.saturating_sub(settled);
        let room = PROBLEMS.saturating_sub(end.problems.len());
        end.problems.extend(problems.into_iter().take(room));
        end.failure = failure.or(end.failure.take());
    }
}
