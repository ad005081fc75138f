//! Pages of what is here together with what an upstream lists.

use std::collections::BTreeSet;

use crate::oci::Referrer;
use crate::registry::{Page, ReferrersPage};

/// Maximum length of a page of referrers, and its maximum size in bytes: clients read 4 MiB.
pub(crate) const REFERRERS: usize = 1_000;
const REFERRERS_BYTES: usize = 3 << 20;

/// Merges a page of tags with those of an upstream that come after `after`.
pub(crate) fn tags(
    here: Page<String>,
    upstream: &BTreeSet<String>,
    after: &str,
    limit: usize,
) -> Page<String> {
    let later = upstream
        .range::<str, _>((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded))
        .take(limit.saturating_add(1));
    let goes_on = here.next.is_some();
    let merged: BTreeSet<_> = here.items.into_iter().chain(later.cloned()).collect();
    let goes_on = goes_on || merged.len() > limit;
    let items: Vec<_> = merged.into_iter().take(limit).collect();
    let next = goes_on.then(|| items.last().cloned()).flatten();
    Page { items, next }
}

/// Merges a page of referrers with those of an upstream that come after `after`; both are in the order of their digests.
pub(crate) fn referrers(
    here: ReferrersPage,
    upstream: &[Referrer],
    after: &str,
    artifact_type: Option<&str>,
) -> ReferrersPage {
    let known: BTreeSet<_> = here.items.iter().map(|item| item.digest.clone()).collect();
    let is_new = |item: &&Referrer| {
        item.digest.as_str() > after
            // later ones come with the page of what is here
            && here.next.as_ref().is_none_or(|last| item.digest <= *last)
            && artifact_type.is_none_or(|wanted| item.artifact_type.as_deref() == Some(wanted))
            && !known.contains(&item.digest)
    };
    let new: Vec<_> = upstream.iter().filter(is_new).cloned().collect();
    let mut merged = here.items;
    merged.extend(new);
    merged.sort_unstable_by(|one, other| one.digest.cmp(&other.digest));
    let mut bytes = 0;
    let fitting = merged.iter().take(REFERRERS).take_while(|item| {
        bytes += serde_json::to_string(item).map_or(0, |text| text.len() + 1);
        bytes <= REFERRERS_BYTES
    });
    // one that is too long by itself comes alone
    let length = fitting.count().max(1);
    if length >= merged.len() {
        return Page {
            items: merged,
            next: here.next,
        };
    }
    merged.truncate(length);
    let next = merged.last().map(|item| item.digest.clone());
    Page {
        items: merged,
        next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn referrer(digest: &str, artifact_type: &str) -> Referrer {
        Referrer {
            media_type: String::new(),
            digest: digest.to_owned(),
            size: 1,
            artifact_type: Some(artifact_type.to_owned()),
            annotations: None,
        }
    }

    /// Whatever the length of a page, all pages together have every tag once, in order.
    #[test]
    fn pages_of_tags_have_each_once() {
        let here: BTreeSet<String> = ["a", "c", "d", "g", "h"].map(str::to_owned).into();
        let upstream: BTreeSet<String> = ["b", "c", "e", "f", "h", "i"].map(str::to_owned).into();
        for limit in 1..12 {
            let (mut after, mut all) = (String::new(), Vec::new());
            loop {
                let mut items: Vec<_> = here.iter().filter(|tag| **tag > after).cloned().collect();
                let goes_on = items.len() > limit;
                items.truncate(limit);
                let next = goes_on.then(|| items.last().cloned()).flatten();
                let page = tags(Page { items, next }, &upstream, &after, limit);
                all.extend(page.items);
                match page.next {
                    Some(next) => after = next,
                    None => break,
                }
            }
            assert_eq!(all.join(""), "abcdefghi", "{limit}");
        }
    }

    #[test]
    fn pages_of_referrers_have_each_once() {
        let upstream: Vec<_> = ["b", "c", "e", "f", "h"]
            .map(|digest| referrer(digest, "x"))
            .into();
        let page = |digests: &[&str], next: Option<&str>| Page {
            items: digests.iter().map(|digest| referrer(digest, "x")).collect(),
            next: next.map(str::to_owned),
        };
        let digests = |page: ReferrersPage| -> String {
            page.items.iter().map(|item| item.digest.as_str()).collect()
        };
        let first = referrers(page(&["a", "c"], Some("c")), &upstream, "", None);
        assert_eq!(first.next.as_deref(), Some("c"));
        assert_eq!(digests(first), "abc");
        let second = referrers(page(&["d", "g"], None), &upstream, "c", None);
        assert_eq!(second.next, None);
        assert_eq!(digests(second), "defgh");
        let none = referrers(page(&[], None), &upstream, "", Some("y"));
        assert_eq!(digests(none), "");
        let many: Vec<_> = (0..2500)
            .map(|n| referrer(&format!("{n:05}"), "x"))
            .collect();
        let (mut after, mut count) = (String::new(), 0);
        loop {
            let page = referrers(page(&[], None), &many, &after, None);
            count += page.items.len();
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        assert_eq!(count, 2500);
    }
}
