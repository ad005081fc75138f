//! Sorted lists of repositories and tags, for people.
//!
//! Unlike the lists of clients, which are read by key, these may be in any order: names are collected first, at most some
//! sixty bytes for each, and details are read for those that are shown.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::meta::{self, Millis, Reader, RepositoryRow, TagRow};
use crate::oci::Glob;
use crate::oci::RepositoryName;
use crate::registry::content::page::Page;
use crate::registry::content::visibility::{NameQuery, Visibility};
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
    /// Leaves out what is in other repositories.
    pub shown: Visibility,
    /// Leaves out what stands before the page.
    pub after: Option<ListPlace>,
}

/// Place in a sorted list, behind which a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPlace {
    /// Number by which its item is sorted; 0 in an order of names.
    key: i64,
    name: String,
}

impl ListPlace {
    /// Parses the cursor of a list in this order: a name, or `NUMBER:NAME`.
    pub fn parse(text: &str, order: ListOrder) -> Option<Self> {
        let (key, name) = match order {
            ListOrder::Name => ("0", text),
            _ => text.split_once(':')?,
        };
        let (key, name) = (key.parse().ok()?, name.to_owned());
        Some(Self { key, name })
    }

    fn text(&self, order: ListOrder) -> String {
        match order {
            ListOrder::Name => self.name.clone(),
            _ => format!("{}:{}", self.key, self.name),
        }
    }
}

/// A tag in a sorted list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagKey {
    pub repository: Arc<RepositoryName>,
    pub name: Box<str>,
}

/// A repository to be ranked, with its row where that was read.
struct Candidate {
    name: String,
    row: Option<RepositoryRow>,
}

impl Ranked for Candidate {
    fn compare(&self, other: &Self) -> Ordering {
        natural::compare(&self.name, &other.name)
    }

    fn place(&self) -> String {
        self.name.clone()
    }

    fn compare_to(&self, place: &str) -> Ordering {
        natural::compare(&self.name, place)
    }
}

impl Ranked for TagKey {
    fn compare(&self, other: &Self) -> Ordering {
        compare_tags(
            (self.repository.as_str(), &self.name),
            (other.repository.as_str(), &other.name),
        )
    }

    fn place(&self) -> String {
        format!("{}:{}", self.repository, self.name)
    }

    fn compare_to(&self, place: &str) -> Ordering {
        let place = place.split_once(':').unwrap_or((place, ""));
        compare_tags((self.repository.as_str(), &self.name), place)
    }
}

/// Compares by repository, and then by tag.
fn compare_tags(one: (&str, &str), other: (&str, &str)) -> Ordering {
    natural::compare(one.0, other.0).then_with(|| natural::compare(one.1, other.1))
}

impl Repositories<'_> {
    /// Lists repositories, sorted.
    pub async fn find(self, query: ListQuery) -> Result<Page<RepositoryRow>, Error> {
        self.registry
            .scan(move |meta| {
                let mut ranking = Ranking::new(&query);
                each_name(meta, &query, |name| {
                    let row = match query.is_by_name_alone() {
                        // read once it is known to be on the page
                        true => None,
                        false => match meta.repository_row(&name)? {
                            Some(row) if query.is_recent(row.pushed_at) => Some(row),
                            _ => return Ok(()),
                        },
                    };
                    let key = row.as_ref().map_or(Ok(0), |row| {
                        query.key(|| Ok(row.size), row.pushed_at, row.pulled_at)
                    })?;
                    ranking.push(key, Candidate { name, row });
                    Ok(())
                })?;
                let page = ranking.page();
                let mut rows = Vec::with_capacity(page.items.len());
                for Candidate { name, row } in page.items {
                    rows.extend(match row {
                        Some(row) => Some(row),
                        None => meta.repository_row(&name)?,
                    });
                }
                Ok(Page {
                    items: rows,
                    next: page.next,
                })
            })
            .await
    }

    /// Returns the names of repositories that the query's pattern matches, in byte order.
    pub async fn names(self, query: ListQuery) -> Result<Vec<RepositoryName>, Error> {
        self.registry
            .scan(move |meta| {
                let mut names = Vec::new();
                each_name(meta, &query, |name| {
                    names.extend(RepositoryName::parse(&name).ok());
                    Ok(())
                })?;
                Ok(names)
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
    ) -> Result<Page<TagKey>, Error> {
        self.registry
            .scan(move |meta| {
                let mut ranking = Ranking::new(&query);
                for repository in repositories.into_iter().map(Arc::new) {
                    rank_tags(meta, &repository, &query, &mut ranking)?;
                }
                Ok(ranking.page())
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

fn rank_tags(
    meta: &Reader<'_>,
    repository: &Arc<RepositoryName>,
    query: &ListQuery,
    ranking: &mut Ranking<'_, TagKey>,
) -> Result<(), meta::Error> {
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

/// Visits the names of shown repositories that the query's pattern matches, in byte order.
fn each_name(
    meta: &Reader<'_>,
    query: &ListQuery,
    mut visit: impl FnMut(String) -> Result<(), meta::Error>,
) -> Result<(), meta::Error> {
    let mut next = NameQuery {
        after: String::new(),
        term: String::new(),
        skip: 0,
        limit: BATCH,
    };
    loop {
        let names = query.shown.names(meta, &next)?;
        let Some(last) = names.last() else {
            return Ok(());
        };
        next.after.clone_from(last);
        let mut matching = names.into_iter().filter(|name| query.matches(name));
        matching.try_for_each(&mut visit)?;
    }
}

impl ListQuery {
    pub(super) fn matches(&self, name: &str) -> bool {
        self.pattern
            .as_ref()
            .is_none_or(|pattern| pattern.matches(name))
    }

    /// Reports whether names are all that the order depends on.
    fn is_by_name_alone(&self) -> bool {
        self.order == ListOrder::Name && self.since.is_none()
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

/// An item of a sorted list.
pub(super) trait Ranked {
    /// Compares items whose numbers are equal.
    fn compare(&self, other: &Self) -> Ordering;

    /// Returns its name in cursors.
    fn place(&self) -> String;

    /// Compares it with the name of a cursor, whose item may be gone.
    fn compare_to(&self, place: &str) -> Ordering;
}

/// The first items of a list by their numbers and names.
pub(super) struct Ranking<'q, T> {
    query: &'q ListQuery,
    items: Vec<(i64, T)>,
}

impl<'q, T: Ranked> Ranking<'q, T> {
    pub(super) fn new(query: &'q ListQuery) -> Self {
        Self {
            query,
            items: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, key: i64, item: T) {
        let is_before = |place: &ListPlace| match key.cmp(&place.key) {
            // largest first
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal => item.compare_to(&place.name).is_le(),
        };
        if self.query.after.as_ref().is_some_and(is_before) {
            return;
        }
        self.items.push((key, item));
        if let Some(limit) = self.query.limit
            && self.items.len() > 2 * limit.max(BATCH)
        {
            self.sort();
            // one more shows that the list goes on
            self.items.truncate(limit + 1);
        }
    }

    fn sort(&mut self) {
        self.items.sort_by(|(one_key, one), (other_key, other)| {
            let by_key: Ordering = other_key.cmp(one_key);
            by_key.then_with(|| one.compare(other))
        });
    }

    pub(super) fn page(mut self) -> Page<T> {
        self.sort();
        let (limit, order) = (self.query.limit.unwrap_or(usize::MAX), self.query.order);
        let page = Page::cut(self.items, limit, |(key, item)| {
            let (key, name) = (*key, item.place());
            ListPlace { key, name }.text(order)
        });
        Page {
            items: page.items.into_iter().map(|(_, item)| item).collect(),
            next: page.next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: String) -> Candidate {
        Candidate { name, row: None }
    }

    fn names(page: Page<Candidate>) -> Vec<String> {
        page.items.into_iter().map(|item| item.name).collect()
    }

    #[test]
    fn a_limit_keeps_the_first_of_all() {
        let query = ListQuery {
            limit: Some(3),
            ..ListQuery::default()
        };
        let mut ranking = Ranking::new(&query);
        for number in 0..10_000 {
            ranking.push(number % 100, candidate(format!("pr-{number}")));
        }
        assert!(ranking.items.len() < 5000);
        assert_eq!(names(ranking.page()), ["pr-99", "pr-199", "pr-299"]);
    }

    #[test]
    fn pages_are_the_whole_list() {
        for order in [ListOrder::Name, ListOrder::Size] {
            let mut query = ListQuery {
                limit: Some(7),
                order,
                ..ListQuery::default()
            };
            let mut listed = Vec::new();
            loop {
                let mut ranking = Ranking::new(&query);
                for number in 0..100 {
                    let key = if order == ListOrder::Name {
                        0
                    } else {
                        number % 3
                    };
                    ranking.push(key, candidate(format!("pr-{number}")));
                }
                let page = ranking.page();
                let next = page.next.clone();
                listed.extend(names(page));
                let Some(next) = next else { break };
                query.after = ListPlace::parse(&next, order);
                assert!(query.after.is_some(), "{next}");
            }
            let distinct: std::collections::BTreeSet<_> = listed.iter().collect();
            assert_eq!((listed.len(), distinct.len()), (100, 100), "{listed:?}");
            assert_eq!(
                listed[1],
                if order == ListOrder::Name {
                    "pr-1"
                } else {
                    "pr-5"
                }
            );
        }
    }
}
