//! Growth, pushes and pulls as charts, with the same numbers as tables.

use std::cmp::Reverse;

use crate::registry::{Error, Registry};
use crate::report::{self, DayItem, GrowthItem, RepositoryGrowthItem};
use crate::ui::chart::{Chart, Shape, Values};
use crate::ui::parts::{RepositoryLabel, Size};
use crate::ui::site::Reader;

/// Maximum number of repositories that are listed.
const REPOSITORIES: usize = 10;

/// Growth as pages show it.
#[derive(Debug)]
pub struct GrowthCharts {
    pub days: Vec<DayItem>,
    /// Those that changed most.
    pub repositories: Vec<RepositoryGrowthItem>,
    pub size: Option<Chart>,
    pub pushes: Option<Chart>,
    pub pulls: Option<Chart>,
    pub push_count: u64,
    pub pull_count: u64,
}

impl GrowthCharts {
    /// Reads and draws the growth of what a reader may see; the size now ends the chart.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of(
        registry: &Registry,
        reader: &Reader,
        days: u32,
        size_now: Option<u64>,
    ) -> Result<Self, Error> {
        let growth = report::growth(registry, days, None, &reader.viewer).await?;
        let GrowthItem {
            mut days,
            mut repositories,
        } = growth;
        if let Some(today) = days.last_mut() {
            today.size = size_now.or(today.size);
        }
        let counted = |count: fn(&DayItem) -> u64| {
            let values = days.iter().map(|day| Some(count(day))).collect();
            Chart::of(values, Values::Counts, Shape::Bars)
        };
        let sizes = days.iter().map(|day| day.size).collect();
        repositories.sort_by_key(|one| Reverse(one.size.abs_diff(one.former_size)));
        repositories.retain(|one| one.size != one.former_size);
        repositories.truncate(REPOSITORIES);
        Ok(Self {
            size: Chart::of(sizes, Values::Bytes, Shape::Area),
            pushes: counted(|day| day.push_count),
            pulls: counted(|day| day.pull_count),
            push_count: days.iter().map(|day| day.push_count).sum(),
            pull_count: days.iter().map(|day| day.pull_count).sum(),
            repositories,
            days,
        })
    }

    /// First day whose size is known.
    fn begin(&self) -> Option<(&DayItem, u64)> {
        self.days.iter().find_map(|day| Some((day, day.size?)))
    }

    fn end(&self) -> Option<u64> {
        self.days.last()?.size
    }

    /// Growth of the whole, with its sign.
    pub fn grown(&self) -> Option<(&'static str, Size)> {
        let (_, begin) = self.begin()?;
        let end = self.end()?;
        let sign = if end < begin { "−" } else { "+" };
        Some((sign, Size(end.abs_diff(begin))))
    }

    /// The chart of sizes as a sentence.
    pub fn sentence(&self) -> String {
        let words = |bytes| {
            let (number, unit) = Size(bytes).words();
            format!("{number} {unit}")
        };
        match (self.begin(), self.end()) {
            (Some((day, begin)), Some(end)) => {
                format!("{} on {}, {} now", words(begin), day.date, words(end))
            }
            _ => "Nothing was recorded yet".to_owned(),
        }
    }

    /// Days at which the scale of time has words: the first and the middle one.
    pub fn marks(&self) -> Vec<&str> {
        let places = [0, self.days.len() / 2];
        let found = places.iter().filter_map(|place| self.days.get(*place));
        found.map(|day| &*day.date).collect()
    }

    pub fn label<'g>(&self, one: &'g RepositoryGrowthItem) -> RepositoryLabel<'g> {
        RepositoryLabel(&one.repository)
    }

    /// Growth of a repository, with its sign.
    pub fn grown_of(&self, one: &RepositoryGrowthItem) -> (&'static str, Size) {
        let sign = if one.size < one.former_size {
            "−"
        } else {
            "+"
        };
        (sign, Size(one.size.abs_diff(one.former_size)))
    }
}
