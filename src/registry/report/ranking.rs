//! Sorted lists of repositories and tags, for people.
//!
//! Unlike the lists of clients, which are read by key, these may be in any order: names are collected first, at most some
//! sixty bytes for each, and details are read for those that are shown.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::meta::{self, Millis, Reader, RepositoryRow, TagRow};
use crate::oci::Glob;
use crate::oci::RepositoryName;
use crate::registry::error::Error;
use crate::registry::facades::{Repositories, Tags};
use crate::registry::report::natural;

/// Maximum number of names read at once.
const BATCH: usize = 1000;

/// Order of a list. Sizes and times are in descending order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListOrder {
    /// By repository, then by tag, with numbers in names by value.
    #[default]
    Name,
    Size,
    Pushed,
    /// Never pulled last.
    Pulled,
}

/// Choice and order of listed items.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    pub pattern: Option<Glob>,
    /// Leaves out what was last pushed before this time.
    pub since: Option<Millis>,
    pub order: ListOrder,
    pub limit: Option<usize>,
}

/// A tag in a sorted list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagKey {
    pub repository: Arc<RepositoryName>,
    pub name: Box<str>,
}

impl TagKey {
    /// Compares by repository, and then by tag.
    fn compare(&self, other: &Self) -> Ordering {
        let (repository, others) = (self.repository.as_str(), other.repository.as_str());
        natural::compare(repository, others).then_with(|| natural::compare(&self.name, &other.name))
    }
}

impl Repositories<'_> {
    /// Lists repositories, sorted.
    pub async fn find(self, query: ListQuery) -> Result<Vec<RepositoryRow>, Error> {
        self.registry
            .scan(move |meta| {
                let mut ranking = Ranking::new(&query, |one: &RepositoryRow, other| {
                    natural::compare(&one.name, &other.name)
                });
                each_name(
                    |after| meta.repository_names("", after, "", BATCH),
                    |name| {
                        if query.matches(name)
                            && let Some(row) = meta.repository_row(name)?
                            && query.is_recent(row.pushed_at)
                        {
                            let key = query.key(|| Ok(row.size), row.pushed_at, row.pulled_at)?;
                            ranking.push(key, row);
                        }
                        Ok(())
                    },
                )?;
                Ok(ranking.sorted())
            })
            .await
    }
}

impl Tags<'_> {
    /// Lists tags of some repositories, sorted together.
    pub async fn find(
        self,
        repositories: Vec<RepositoryName>,
        query: ListQuery,
    ) -> Result<Vec<TagKey>, Error> {
        self.registry
            .scan(move |meta| {
                let mut ranking = Ranking::new(&query, TagKey::compare);
                for repository in repositories.into_iter().map(Arc::new) {
                    rank_tags(meta, &repository, &query, &mut ranking)?;
                }
                Ok(ranking.sorted())
            })
            .await
    }

    /// Returns the details of tags, without those that were removed meanwhile.
    pub async fn details(self, keys: Vec<TagKey>) -> Result<Vec<(TagKey, TagRow)>, Error> {
        self.registry
            .scan(move |meta| {
                let mut rows = Vec::with_capacity(keys.len());
                for key in keys {
                    let row = meta.tag_row(&key.repository, &key.name)?;
                    rows.extend(row.map(|row| (key, row)));
                }
                Ok(rows)
            })
            .await
    }
}

fn rank_tags<'q, F>(
    meta: &Reader<'_>,
    repository: &Arc<RepositoryName>,
    query: &'q ListQuery,
    ranking: &mut Ranking<'q, TagKey, F>,
) -> Result<(), meta::Error>
where
    F: Fn(&TagKey, &TagKey) -> Ordering,
{
    let mut after = String::new();
    loop {
        let rows = meta.tags(repository, &after, BATCH)?;
        let Some(last) = rows.last() else {
            return Ok(());
        };
        after.clone_from(&last.name);
        for row in rows {
            if !query.matches(&row.name) || !query.is_recent(row.pushed_at) {
                continue;
            }
            let size = || {
                let size = meta.manifest_size(repository, &row.digest)?;
                Ok(size.map_or(0, |size| size.size))
            };
            let key = query.key(size, row.pushed_at, row.pulled_at)?;
            let repository = Arc::clone(repository);
            let name = row.name.into_boxed_str();
            ranking.push(key, TagKey { repository, name });
        }
    }
}

/// Visits names page by page.
fn each_name(
    page: impl Fn(&str) -> Result<Vec<String>, meta::Error>,
    mut visit: impl FnMut(&str) -> Result<(), meta::Error>,
) -> Result<(), meta::Error> {
    let mut after = String::new();
    loop {
        let names = page(&after)?;
        let Some(last) = names.last() else {
            return Ok(());
        };
        after.clone_from(last);
        names.iter().try_for_each(|name| visit(name))?;
    }
}

impl ListQuery {
    pub(super) fn matches(&self, name: &str) -> bool {
        self.pattern
            .as_ref()
            .is_none_or(|pattern| pattern.matches(name))
    }

    pub(super) fn is_recent(&self, pushed_at: Millis) -> bool {
        self.since.is_none_or(|since| pushed_at >= since)
    }

    /// Returns the number by which an item is sorted, largest first.
    pub(super) fn key(
        &self,
        size: impl FnOnce() -> Result<u64, meta::Error>,
        pushed_at: Millis,
        pulled_at: Option<Millis>,
    ) -> Result<i64, meta::Error> {
        Ok(match self.order {
            ListOrder::Name => 0,
            ListOrder::Size => i64::try_from(size()?).unwrap_or(i64::MAX),
            ListOrder::Pushed => pushed_at,
            ListOrder::Pulled => pulled_at.unwrap_or(Millis::MIN),
        })
    }
}

/// The first items of a list by their keys and names.
pub(super) struct Ranking<'q, T, F> {
    query: &'q ListQuery,
    items: Vec<(i64, T)>,
    compare_names: F,
}

impl<'q, T, F: Fn(&T, &T) -> Ordering> Ranking<'q, T, F> {
    pub(super) fn new(query: &'q ListQuery, compare_names: F) -> Self {
        Self {
            query,
            items: Vec::new(),
            compare_names,
        }
    }

    pub(super) fn push(&mut self, key: i64, item: T) {
        self.items.push((key, item));
        if let Some(limit) = self.query.limit
            && self.items.len() >= 2 * limit.max(BATCH)
        {
            self.sort();
            self.items.truncate(limit);
        }
    }

    fn sort(&mut self) {
        let compare_names = &self.compare_names;
        self.items.sort_by(|(one_key, one), (other_key, other)| {
            let by_key: Ordering = other_key.cmp(one_key);
            by_key.then_with(|| compare_names(one, other))
        });
    }

    pub(super) fn sorted(mut self) -> Vec<T> {
        self.sort();
        self.items.truncate(self.query.limit.unwrap_or(usize::MAX));
        self.items.into_iter().map(|(_, item)| item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_keeps_the_first_of_all() {
        let query = ListQuery {
            limit: Some(3),
            ..ListQuery::default()
        };
        let mut ranking = Ranking::new(&query, |one: &String, other| natural::compare(one, other));
        for number in 0..10_000 {
            ranking.push(number % 100, format!("pr-{number}"));
        }
        assert!(ranking.items.len() < 5000);
        assert_eq!(ranking.sorted(), ["pr-99", "pr-199", "pr-299"]);
    }
}
