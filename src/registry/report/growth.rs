//! Growth: sizes, pushes and pulls by day and by repository.

use std::collections::BTreeMap;

use crate::meta::{self, DayNumber, DayRow, Millis, Reader, day_of, now};
use crate::oci::Glob;
use crate::registry::content::visibility::Visibility;
use crate::registry::error::Error;
use crate::registry::facades::Reports;

const DAY: Millis = 24 * 3_600_000;

/// Repositories whose growth is summed up, and the number of days until now.
#[derive(Clone, Debug)]
pub struct GrowthQuery {
    pub days: u32,
    pub pattern: Option<Glob>,
    pub shown: Visibility,
}

/// A day of all repositories of a query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrowthDay {
    /// Its begin.
    pub at: Millis,
    /// Bytes at the first collection of the day; `None` before anything was recorded.
    pub size: Option<u64>,
    pub pushes: u64,
    pub pulls: u64,
}

/// Growth of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositoryGrowth {
    pub name: String,
    pub size: u64,
    /// Size at the first day.
    pub former_size: u64,
    pub pushes: u64,
    pub pulls: u64,
}

/// Growth by day, the last of which is today, and by repository.
#[derive(Clone, Debug, Default)]
pub struct Growth {
    pub days: Vec<GrowthDay>,
    /// By name; without those that have nothing to tell.
    pub repositories: Vec<RepositoryGrowth>,
}

impl GrowthQuery {
    /// Reports whether it is about the whole store.
    fn is_whole(&self) -> bool {
        self.pattern.is_none() && matches!(self.shown, Visibility::All)
    }

    fn has(&self, name: &str) -> bool {
        self.shown.shows(name) && self.pattern.as_ref().is_none_or(|glob| glob.matches(name))
    }
}

/// Growth that is being summed up.
struct Sums<'q> {
    query: &'q GrowthQuery,
    first: DayNumber,
    days: Vec<GrowthDay>,
    repositories: BTreeMap<String, RepositoryGrowth>,
    /// Size of the whole store, and sum of the sizes of the repositories, as of the day that is read.
    store: Option<u64>,
    sum: u64,
}

impl Reports<'_> {
    /// Sums up the growth of some repositories.
    pub async fn growth(self, query: GrowthQuery) -> Result<Growth, Error> {
        let scan = move |meta: &Reader<'_>| summed(meta, &query);
        self.registry.scan(scan).await
    }
}

fn summed(meta: &Reader<'_>, query: &GrowthQuery) -> Result<Growth, meta::Error> {
    let today = day_of(now());
    let first = today - i64::from(query.days.max(1)) + 1;
    let mut sums = Sums {
        query,
        first,
        days: Vec::new(),
        repositories: BTreeMap::new(),
        store: None,
        sum: 0,
    };
    for (name, size) in meta.sizes_before(first)? {
        match name.is_empty() {
            true => sums.store = Some(size),
            false => sums.begin(name, size),
        }
    }
    meta.each_day((first, today), |row| sums.add(row))?;
    sums.reach(today);
    for pushes in meta.pushes_since(meta.last_counted_push()?, meta.last_audit()?)? {
        let day = pushes.day.clamp(first, today);
        sums.add_uses(day, &pushes.repository, pushes.pushes, 0);
    }
    for (name, size) in meta.sizes()? {
        if query.has(&name) {
            sums.of(&name).size = size;
        }
    }
    let repositories = sums.repositories.into_values();
    let says = |one: &RepositoryGrowth| one.size.max(one.former_size) + one.pushes + one.pulls > 0;
    Ok(Growth {
        days: sums.days,
        repositories: repositories.filter(says).collect(),
    })
}

impl Sums<'_> {
    fn of(&mut self, name: &str) -> &mut RepositoryGrowth {
        let new = || RepositoryGrowth {
            name: name.to_owned(),
            ..RepositoryGrowth::default()
        };
        self.repositories.entry(name.to_owned()).or_insert_with(new)
    }

    /// Notes the size of a repository before the first day.
    fn begin(&mut self, name: String, size: u64) {
        if self.query.has(&name) {
            self.sum += size;
            let growth = self.of(&name);
            (growth.former_size, growth.size) = (size, size);
        }
    }

    /// Goes on to a day; those before it are complete then.
    fn reach(&mut self, day: DayNumber) {
        while self.first + (self.days.len() as i64) <= day {
            let size = self.size();
            self.days.push(GrowthDay {
                at: (self.first + self.days.len() as i64) * DAY,
                size,
                ..GrowthDay::default()
            });
        }
    }

    fn size(&self) -> Option<u64> {
        match self.query.is_whole() {
            true => self.store,
            false => self.store.map(|_| self.sum),
        }
    }

    fn add(&mut self, row: DayRow) {
        self.reach(row.day);
        match row.repository {
            None => self.store = row.size.or(self.store),
            Some(name) => {
                if !self.query.has(&name) {
                    return;
                }
                self.add_uses(row.day, &name, row.pushes, row.pulls);
                if let Some(size) = row.size {
                    let before = std::mem::replace(&mut self.of(&name).size, size);
                    self.sum = self.sum.saturating_sub(before).saturating_add(size);
                }
            }
        }
        let size = self.size();
        if let Some(day) = self.days.last_mut() {
            day.size = size;
        }
    }

    fn add_uses(&mut self, day: DayNumber, name: &str, pushes: u64, pulls: u64) {
        if !self.query.has(name) {
            return;
        }
        let growth = self.of(name);
        growth.pushes += pushes;
        growth.pulls += pulls;
        let place = usize::try_from(day - self.first).unwrap_or_default();
        if let Some(day) = self.days.get_mut(place) {
            day.pushes += pushes;
            day.pulls += pulls;
        }
    }
}
