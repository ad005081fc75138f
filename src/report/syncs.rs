//! Rules about what is fetched ahead from upstreams, with their last runs.

use serde::{Deserialize, Serialize};

use crate::registry::{SyncRow, now};
use crate::report::values::Time;

/// A rule by which content is fetched ahead from an upstream.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncItem {
    /// Words for what it names.
    pub rule: String,
    pub every_seconds: u64,
    /// Begin of the run that is under way.
    pub begun: Option<Time>,
    /// End of the last run that went through.
    pub completed: Option<Time>,
    /// End of the last run that did not.
    pub failed: Option<Time>,
    /// Reason, until a run goes through.
    pub failure: Option<String>,
    /// Time of the next run.
    pub next: Time,
    pub repository_count: u64,
    pub tag_count: u64,
    pub missing_tag_count: u64,
    pub problems: Vec<SyncProblem>,
}

/// A piece that could not be brought.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SyncProblem {
    pub place: String,
    pub problem: String,
}

impl SyncItem {
    pub(super) fn of(row: &SyncRow) -> Self {
        let problems = row.problems.iter().map(|(place, problem)| SyncProblem {
            place: place.clone(),
            problem: problem.clone(),
        });
        Self {
            rule: row.sync.rule.clone(),
            every_seconds: u64::try_from(row.sync.every / 1000).unwrap_or(0),
            begun: row.begun_at.map(Time),
            completed: row.completed_at.map(Time),
            failed: row.failed_at.map(Time),
            failure: row.failure.clone(),
            next: Time(row.next_at().unwrap_or_else(now)),
            repository_count: row.repositories,
            tag_count: row.tags,
            missing_tag_count: row.missing_tags,
            problems: problems.collect(),
        }
    }
}
