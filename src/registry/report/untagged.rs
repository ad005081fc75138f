//! Images that no tag, index or subject holds.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::meta::{self, Cursor, IdleManifest, Millis, Reader};
use crate::oci::{Digest, RepositoryName};
use crate::registry::content::page::Page;
use crate::registry::error::Error;
use crate::registry::facades::Reports;
use crate::registry::policy::retention::Retention;
use crate::registry::report::natural;
use crate::registry::report::ranking::{ListQuery, Ranked, Ranking};

/// Maximum number of candidates read at once.
const BATCH: usize = 1000;

/// An image that no tag, index or subject holds.
#[derive(Clone, Debug)]
pub struct UntaggedImage {
    pub repository: String,
    pub digest: Digest,
    /// Bytes of the manifest and of all that it needs.
    pub size: u64,
    /// Tags that pointed at it, as far as the history knows, the last one first.
    pub tags: Vec<String>,
    /// Time at which it lost its last holder.
    pub since: Millis,
    pub pulled_at: Option<Millis>,
    pub checked_at: Option<Millis>,
    /// Time at which collection deletes it; `None` if never.
    pub until: Option<Millis>,
}

impl Reports<'_> {
    /// Lists untagged images of the repositories that the query's pattern matches, sorted by the query.
    ///
    /// Their push counts as the time since which they are untagged.
    pub async fn untagged(
        self,
        query: ListQuery,
        retention: &Retention,
    ) -> Result<Page<UntaggedImage>, Error> {
        let retention = retention.clone();
        self.registry
            .scan(move |meta| {
                let mut rows = Rows {
                    meta,
                    retention: &retention,
                    former: HashMap::new(),
                };
                let found = ranked(meta, &query)?;
                let images = found.items.into_iter().map(|manifest| rows.row(manifest));
                Ok(Page {
                    items: images.collect::<Result<_, _>>()?,
                    next: found.next,
                })
            })
            .await
    }
}

impl Ranked for IdleManifest {
    /// Compares by repository, and then by time, the last first.
    fn compare(&self, other: &Self) -> Ordering {
        natural::compare(&self.repository, &other.repository)
            .then_with(|| other.idle_since.cmp(&self.idle_since))
            .then_with(|| self.digest.cmp(&other.digest))
    }

    fn place(&self) -> String {
        format!("{}@{}@{}", self.repository, self.idle_since, self.digest)
    }

    fn compare_to(&self, place: &str) -> Ordering {
        let mut parts = place.split('@');
        let mut part = || parts.next().unwrap_or_default();
        let (repository, since, digest) = (part(), part(), part());
        let since: Millis = since.parse().unwrap_or(Millis::MAX);
        natural::compare(&self.repository, repository)
            .then_with(|| since.cmp(&self.idle_since))
            .then_with(|| self.digest.as_str().cmp(digest))
    }
}

/// Finds the manifests, by repository and then the last first, unless the query has another order.
fn ranked(meta: &Reader<'_>, query: &ListQuery) -> Result<Page<IdleManifest>, meta::Error> {
    let mut ranking = Ranking::new(query);
    let mut after = Cursor::START;
    loop {
        let idle = meta.idle_manifests(Millis::MAX, Millis::MAX, after, BATCH)?;
        let Some((last, _)) = idle.last() else {
            return Ok(ranking.page());
        };
        after = *last;
        for (_, manifest) in idle {
            let is_meant = query.matches(&manifest.repository)
                && query.is_recent(manifest.idle_since)
                && query.shown.shows(&manifest.repository);
            if is_meant && !meta.has_tagged_subject(manifest.id)? {
                let size = || size(meta, &manifest);
                let key = query.key(size, manifest.idle_since, manifest.pulled_at)?;
                ranking.push(key, manifest);
            }
        }
    }
}

/// Returns the bytes of a manifest and of all that it needs.
fn size(meta: &Reader<'_>, manifest: &IdleManifest) -> Result<u64, meta::Error> {
    let Ok(repository) = RepositoryName::parse(&manifest.repository) else {
        return Ok(manifest.size);
    };
    let whole = meta.manifest_size(&repository, &manifest.digest)?;
    Ok(whole.map_or(manifest.size, |whole| whole.size))
}

/// Rows of the list, with the former tags of each repository that was read.
struct Rows<'r> {
    meta: &'r Reader<'r>,
    retention: &'r Retention,
    former: HashMap<String, HashMap<Digest, Vec<String>>>,
}

impl Rows<'_> {
    fn row(&mut self, manifest: IdleManifest) -> Result<UntaggedImage, meta::Error> {
        if !self.former.contains_key(&manifest.repository) {
            let former = self.meta.former_tags(&manifest.repository)?;
            self.former.insert(manifest.repository.clone(), former);
        }
        let former = self.former.get_mut(&manifest.repository);
        let tags = former.and_then(|former| former.remove(&manifest.digest));
        Ok(UntaggedImage {
            size: size(self.meta, &manifest)?,
            until: self.retention.due(&manifest),
            tags: tags.unwrap_or_default(),
            repository: manifest.repository,
            digest: manifest.digest,
            since: manifest.idle_since,
            pulled_at: manifest.pulled_at,
            checked_at: manifest.checked_at,
        })
    }
}
