//! Pages of lists, and their limits.

use crate::oci::Descriptor;

/// The longest page, unless an owner says otherwise.
pub(super) const PAGE_LIMIT: usize = 10_000;

/// A part of a list, in order of its keys.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page starts after; none at the end.
    pub next: Option<String>,
}

/// A part of the list of referrers.
pub type ReferrersPage = Page<Descriptor>;

impl<T> Page<T> {
    /// Makes a page of at most `limit` out of up to one more than that, whose presence tells that the list goes on.
    pub(in crate::registry) fn cut(
        mut items: Vec<T>,
        limit: usize,
        key: impl Fn(&T) -> String,
    ) -> Self {
        let goes_on = items.len() > limit;
        items.truncate(limit);
        let next = if goes_on { items.last().map(key) } else { None };
        Self { items, next }
    }
}

/// The longest pages: what asks for more gets so much, and a link to the rest. Pages are made in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimits {
    /// Of the catalogue.
    pub catalog: usize,
    /// Of tags.
    pub tags: usize,
}

impl Default for PageLimits {
    fn default() -> Self {
        Self {
            catalog: PAGE_LIMIT,
            tags: PAGE_LIMIT,
        }
    }
}
