//! A verification, beside a running server.
//!
//! Each read sees the last commit, and content may come and go meanwhile. So nothing counts as damaged before a second look.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::meta::{self, Fault, RepositoryScope, VerificationRun, now};
use crate::oci::RepositoryName;
use crate::registry::error::Error;
use crate::registry::facades::Verify;
use crate::registry::service::Registry;
use crate::registry::verify::finding::{
    Finding, FindingKind, Outcome, Treatment, Verification, VerifyProgress,
};
use crate::registry::verify::pace::{Pace, Pacer};

/// Interval at which it is recorded how far a run has come.
const RECORD_INTERVAL: Duration = Duration::from_secs(1);

/// Runner of a verification: each goes on with its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    Command,
    Server,
}

/// Task of a verification.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    pub runner: Runner,
    pub treatment: Treatment,
    pub pace: Pace,
    /// Verify only what these repositories hold; everything if it is `None`.
    pub repositories: Option<Vec<RepositoryName>>,
    /// Begin anew, even if the last run was cut off.
    pub is_anew: bool,
}

/// Something that a verification tells.
pub enum VerifyEvent {
    /// It goes on with the run that was begun at this time and cut off.
    Resumed(VerificationRun),
    Finding(Finding),
    Progress(VerifyProgress),
}

/// Callback for each event.
pub type VerifyWatcher<'w> = &'w mut (dyn FnMut(VerifyEvent) + Send);

/// A part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Database,
    Manifests,
    Blobs,
    Files,
    End,
}

/// A run under way.
pub(super) struct Run<'r, 'w> {
    pub registry: &'r Registry,
    pub treatment: Treatment,
    pub pacer: Pacer,
    pub scope: RepositoryScope,
    pub state: VerificationRun,
    pub result: Verification,
    pub progress: VerifyProgress,
    runner: Runner,
    watcher: VerifyWatcher<'w>,
    recorded: Instant,
    /// Damage of the database that was reported.
    told: HashSet<String>,
}

impl Runner {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Server => "server",
        }
    }
}

impl Phase {
    const ALL: [Self; 5] = [
        Self::Database,
        Self::Manifests,
        Self::Blobs,
        Self::Files,
        Self::End,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Manifests => "manifests",
            Self::Blobs => "blobs",
            Self::Files => "files",
            Self::End => "end",
        }
    }

    fn parse(text: &str) -> Self {
        let found = Self::ALL.into_iter().find(|phase| phase.as_str() == text);
        found.unwrap_or(Self::Database)
    }

    fn next(self) -> Self {
        match self {
            Self::Database => Self::Manifests,
            Self::Manifests => Self::Blobs,
            Self::Blobs => Self::Files,
            Self::Files | Self::End => Self::End,
        }
    }
}

impl<'r> Verify<'r> {
    /// Verifies what is stored. A run that was cut off goes on where it was.
    ///
    /// # Errors
    /// [`Error::NameUnknown`], and errors of the database, unless it is damaged: that is a finding.
    pub async fn run(
        self,
        options: VerifyOptions,
        watcher: VerifyWatcher<'_>,
    ) -> Result<Verification, Error> {
        let mut run = self.begin(options, watcher).await?;
        loop {
            let phase = Phase::parse(&run.state.phase);
            let done = match phase {
                Phase::Database => run.database().await,
                Phase::Manifests => run.manifests().await,
                Phase::Blobs => run.blobs().await,
                Phase::Files => run.files().await,
                Phase::End => break,
            };
            match done {
                Err(Error::Meta(error)) if is_damage(&error) => run.report_damage(&error),
                other => other?,
            }
            run.state.phase = phase.next().as_str().to_owned();
            run.state.after = 0;
        }
        match run.gaps().await {
            Err(Error::Meta(error)) if is_damage(&error) => run.report_damage(&error),
            other => other?,
        }
        run.state.finished_at = Some(now());
        run.record().await?;
        run.result.damaged = run.state.damaged;
        run.result.blobs = run.state.blobs;
        run.result.size = run.state.size;
        run.result.manifests = run.state.manifests;
        Ok(run.result)
    }

    async fn begin<'w>(
        self,
        options: VerifyOptions,
        watcher: VerifyWatcher<'w>,
    ) -> Result<Run<'r, 'w>, Error> {
        let VerifyOptions {
            runner,
            treatment,
            pace,
            repositories,
            is_anew,
        } = options;
        let registry = self.registry;
        let (scope, last) = registry
            .scan(move |reader| {
                let last = reader.verification(runner.as_str())?;
                let Some(names) = repositories else {
                    return Ok((Ok(RepositoryScope::ALL), last));
                };
                let mut ids = Vec::new();
                for name in names {
                    match reader.repository(&name)? {
                        Some(id) => ids.push(id),
                        None => return Ok((Err(name), last)),
                    }
                }
                Ok((Ok(RepositoryScope::of(&ids)), last))
            })
            .await?;
        let scope = scope.map_err(Error::NameUnknown)?;
        let fresh = VerificationRun {
            place: registry.meta.place(),
            scope: scope.as_str().to_owned(),
            begun_at: now(),
            phase: Phase::Database.as_str().to_owned(),
            ..VerificationRun::default()
        };
        let cut_off = last.filter(|last| {
            last.finished_at.is_none() && last.place == fresh.place && last.scope == fresh.scope
        });
        let resumed = cut_off.filter(|_| !is_anew && treatment != Treatment::ReportOnly);
        if let Some(run) = &resumed {
            watcher(VerifyEvent::Resumed(run.clone()));
        }
        Ok(Run {
            registry,
            treatment,
            pacer: Pacer::new(pace),
            scope,
            state: resumed.unwrap_or(fresh),
            result: Verification::default(),
            progress: VerifyProgress::default(),
            runner,
            watcher,
            recorded: Instant::now(),
            told: HashSet::new(),
        })
    }
}

impl Run<'_, '_> {
    /// Reports something damaged.
    pub(super) fn report(&mut self, finding: Finding) {
        self.state.damaged += 1;
        self.tell(finding);
    }

    /// Tells of a finding without counting it.
    pub(super) fn tell(&mut self, finding: Finding) {
        (self.watcher)(VerifyEvent::Finding(finding));
    }

    /// Reports that the database cannot be read any further.
    pub(super) fn report_damage(&mut self, error: &meta::Error) {
        self.report_database(error.to_string());
    }

    /// Reports damage of the database, once.
    pub(super) fn report_database(&mut self, problem: String) {
        if self.told.insert(problem.clone()) {
            self.report(Finding::of_database(
                FindingKind::Database,
                problem,
                Outcome::Reported,
            ));
        }
    }

    /// Reports whether damage of the database was found.
    pub(super) fn has_damaged_database(&self) -> bool {
        !self.told.is_empty()
    }

    /// Shows, and records from time to time, how far the run has come.
    pub(super) async fn advance(&mut self) -> Result<(), Error> {
        self.progress.damaged = self.state.damaged;
        (self.watcher)(VerifyEvent::Progress(self.progress));
        if self.recorded.elapsed() >= RECORD_INTERVAL {
            self.record().await?;
        }
        Ok(())
    }

    /// Records how far the run has come, unless it is to change nothing.
    async fn record(&mut self) -> Result<(), Error> {
        self.recorded = Instant::now();
        if self.treatment == Treatment::ReportOnly {
            return Ok(());
        }
        let (runner, state) = (self.runner.as_str(), self.state.clone());
        let recorded = self
            .registry
            .meta
            .write_lazily(move |tx| Ok::<_, Error>(tx.record_verification(runner, &state)?))
            .await;
        match recorded {
            // there is no place for it in a damaged database, and a full disk is nobody's damage
            Err(Error::Meta(error)) if is_damage(&error) => Ok(()),
            Err(Error::StorageFull(_)) => Ok(()),
            other => other,
        }
    }
}

/// Reports whether the database is damaged, as far as an error of it says.
pub(in crate::registry) fn is_damage(error: &meta::Error) -> bool {
    match error {
        meta::Error::Damaged { .. } => true,
        meta::Error::Database { kind, .. } => matches!(kind, Fault::Damaged | Fault::Foreign),
        _ => false,
    }
}
