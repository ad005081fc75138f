//! Progress of upstreams that are moved here.

use serde::{Deserialize, Serialize};

use crate::registry::{AdoptionProblem, AdoptionRow};
use crate::report::values::Time;

/// Progress of an upstream that is moved here.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdoptionProgress {
    /// Repositories of which nothing is missing, in per cent; 100 only once everything is here.
    pub percent: u64,
    pub pass: u64,
    pub repository_count: u64,
    pub whole_repository_count: u64,
    pub tag_count: u64,
    pub missing_tag_count: u64,
    pub size: u64,
    pub missing_size: u64,
    pub failed: Option<Time>,
    pub failure: Option<String>,
    pub completed: Option<Time>,
    pub problem_count: u64,
    pub problems: Vec<ProblemItem>,
}

/// A piece that could not be brought.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProblemItem {
    pub repository: String,
    pub place: String,
    pub problem: String,
}

impl AdoptionProgress {
    /// The progress of an adoption, with those of the problems that are its own.
    pub(super) fn of(row: &AdoptionRow, problems: &[AdoptionProblem]) -> Self {
        let part = (row.repositories_whole * 100).checked_div(row.repositories);
        let own = problems
            .iter()
            .filter(|problem| problem.adoption == row.name);
        let items = own.map(|problem| ProblemItem {
            repository: problem.repository.clone(),
            place: problem.place.clone(),
            problem: problem.problem.clone(),
        });
        Self {
            percent: match row.completed_at {
                Some(_) => 100,
                None => part.unwrap_or(0).min(99),
            },
            pass: row.pass,
            repository_count: row.repositories,
            whole_repository_count: row.repositories_whole,
            tag_count: row.tags,
            missing_tag_count: row.tags_missing,
            size: row.bytes,
            missing_size: row.bytes_missing,
            failed: row.failed_at.map(Time),
            failure: row.failure.clone(),
            completed: row.completed_at.map(Time),
            problem_count: row.problems,
            problems: items.collect(),
        }
    }
}
