//! Growth: sizes, pushes and pulls by day and by repository.

use serde::{Deserialize, Serialize};

use crate::oci::Glob;
use crate::registry::{Error, Growth, GrowthDay, GrowthQuery, Registry, RepositoryGrowth};
use crate::report::values::Time;
use crate::report::viewer::Viewer;

/// Number of days without a choice, and the maximum.
pub const GROWTH_DAYS: u32 = 30;
pub const MOST_GROWTH_DAYS: u32 = 366;

/// Growth until now.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct GrowthItem {
    /// The last is today.
    pub days: Vec<DayItem>,
    /// Those that grew most come first.
    pub repositories: Vec<RepositoryGrowthItem>,
}

/// A day of all repositories that are shown.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DayItem {
    pub date: String,
    /// Bytes at the begin of the day; `None` before anything was recorded.
    pub size: Option<u64>,
    pub push_count: u64,
    pub pull_count: u64,
}

/// Growth of a repository.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryGrowthItem {
    pub repository: String,
    pub size: u64,
    /// Size at the first day.
    pub former_size: u64,
    pub push_count: u64,
    pub pull_count: u64,
}

/// Returns the growth of repositories that a viewer may see, and that a glob matches.
///
/// # Errors
/// Those of the database.
pub async fn growth(
    registry: &Registry,
    days: u32,
    pattern: Option<Glob>,
    viewer: &Viewer,
) -> Result<GrowthItem, Error> {
    let query = GrowthQuery {
        days: days.clamp(1, MOST_GROWTH_DAYS),
        pattern,
        shown: viewer.shown.clone(),
    };
    let Growth { days, repositories } = registry.reports().growth(query).await?;
    let mut repositories: Vec<_> = repositories.into_iter().map(repository).collect();
    repositories.sort_by_key(|one| {
        let grown = i128::from(one.size) - i128::from(one.former_size);
        std::cmp::Reverse(grown)
    });
    Ok(GrowthItem {
        days: days.into_iter().map(day).collect(),
        repositories,
    })
}

fn day(day: GrowthDay) -> DayItem {
    DayItem {
        date: Time(day.at).day(),
        size: day.size,
        push_count: day.pushes,
        pull_count: day.pulls,
    }
}

fn repository(growth: RepositoryGrowth) -> RepositoryGrowthItem {
    RepositoryGrowthItem {
        repository: growth.name,
        size: growth.size,
        former_size: growth.former_size,
        push_count: growth.pushes,
        pull_count: growth.pulls,
    }
}
