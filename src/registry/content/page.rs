//! Pages of lists, and their limits.

use crate::oci::Referrer;

/// Default maximum length of a page.
pub(super) const PAGE_LIMIT: usize = 10_000;

/// One page of a list, in order of its keys.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Cursor of the next page; `None` on the last.
    pub next: Option<String>,
}

/// One page of referrers.
pub type ReferrersPage = Page<Referrer>;

impl<T> Page<T> {
    /// Makes a page of at most `limit` items; one item more shows that the list continues.
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

/// Maximum page lengths.
///
/// Longer requests get a page of this length and a link to the next. Pages are built in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimits {
    /// Limit for the catalogue.
    pub catalog: usize,
    /// Limit for tags.
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
