//! Lists: tags, the catalogue, referrers, search (OCI distribution-spec 1.1, "Content Discovery").

use crate::meta::{self, TagRow};
use crate::oci::{Digest, Referrer, RepositoryName, annotations};
use crate::registry::content::page::{PAGE_LIMIT, Page, ReferrersPage};
use crate::registry::content::visibility::{NameQuery, Visibility};
use crate::registry::error::Error;
use crate::registry::facades::{Manifests, Repositories, Tags};

/// Limits of a page of referrers.
///
/// Referrers carry annotations, so the page is limited in bytes as well, below the 4 MiB that
/// clients read.
const REFERRERS_LIMIT: usize = 1_000;
const REFERRERS_BYTES: usize = 3 << 20;
/// Maximum bytes of manifests read for a page of referrers; large ones would occupy a core for
/// seconds.
const REFERRERS_READ: usize = 16 << 20;

/// Returns the page length for a request of `wanted` items, or of no stated number.
fn limit(wanted: Option<usize>) -> usize {
    wanted.unwrap_or(PAGE_LIMIT).min(PAGE_LIMIT)
}

impl Repositories<'_> {
    /// Lists the names of visible repositories with content, after `after`.
    pub async fn catalog(
        self,
        visibility: Visibility,
        after: String,
        wanted: Option<usize>,
    ) -> Result<Page<String>, Error> {
        let limit = wanted
            .unwrap_or(usize::MAX)
            .min(self.registry.settings().pages.catalog);
        let names = self
            .registry
            .scan(move |meta| {
                let query = NameQuery {
                    after,
                    term: String::new(),
                    skip: 0,
                    limit: limit + 1,
                };
                visibility.names(meta, &query)
            })
            .await?;
        Ok(Page::cut(names, limit, String::clone))
    }

    /// Lists visible repositories whose name contains `term`: page number `page`, from 1, of `count` each.
    ///
    /// The only list read by position instead of by key, because the API that it serves numbers its pages.
    pub async fn search(
        self,
        visibility: Visibility,
        term: String,
        count: usize,
        page: usize,
    ) -> Result<Vec<String>, Error> {
        let count = count.min(PAGE_LIMIT);
        self.registry
            .scan(move |meta| {
                let query = NameQuery {
                    after: String::new(),
                    term,
                    skip: page.saturating_sub(1).saturating_mul(count),
                    limit: count,
                };
                visibility.names(meta, &query)
            })
            .await
    }
}

impl Tags<'_> {
    /// Lists the tags of a repository, after `after`.
    ///
    /// # Errors
    /// [`Error::NameUnknown`] if the repository is empty.
    pub async fn list(
        self,
        repository: &RepositoryName,
        after: String,
        wanted: Option<usize>,
    ) -> Result<Page<String>, Error> {
        let is_listed = meta::point(|reader| reader.is_listed(repository));
        if !self.registry.meta.read(is_listed).await? {
            return Err(Error::NameUnknown(repository.clone()));
        }
        let (repository, limit) = (
            repository.clone(),
            wanted
                .unwrap_or(usize::MAX)
                .min(self.registry.settings().pages.tags),
        );
        let names = self
            .registry
            .scan(move |meta| meta.tag_names(&repository, &after, limit + 1))
            .await?;
        Ok(Page::cut(names, limit, String::clone))
    }

    /// Lists tags with their targets, after `after`.
    pub async fn list_detailed(
        self,
        repository: &RepositoryName,
        after: String,
        wanted: Option<usize>,
    ) -> Result<Page<TagRow>, Error> {
        let (repository, limit) = (repository.clone(), limit(wanted));
        let rows = self
            .registry
            .scan(move |meta| meta.tags(&repository, &after, limit + 1))
            .await?;
        Ok(Page::cut(rows, limit, |row| row.name.clone()))
    }
}

impl Manifests<'_> {
    /// Lists manifests whose subject is `subject`; empty if there are none, known or not.
    pub async fn referrers(
        self,
        repository: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<String>,
        after: String,
    ) -> Result<ReferrersPage, Error> {
        let (repository, subject) = (repository.clone(), subject.clone());
        self.registry
            .scan(move |meta| {
                let mut page = Page {
                    items: Vec::new(),
                    next: None,
                };
                let (mut after, mut bytes, mut read) = (after, 0, 0);
                // one row at a time, because each brings its whole manifest
                while let Some(row) = meta
                    .referrers(&repository, &subject, artifact_type.as_deref(), &after, 1)?
                    .pop()
                {
                    let referrer = Referrer {
                        media_type: row.media_type,
                        digest: row.digest.as_str().to_owned(),
                        size: row.bytes.len(),
                        artifact_type: row.artifact_type,
                        annotations: annotations(&row.bytes),
                    };
                    let length = serde_json::to_string(&referrer).map_or(0, |text| text.len() + 1);
                    let is_long =
                        bytes + length > REFERRERS_BYTES || read + row.bytes.len() > REFERRERS_READ;
                    if page.items.len() == REFERRERS_LIMIT || (is_long && !page.items.is_empty()) {
                        page.next = Some(after);
                        break;
                    }
                    bytes += length;
                    read += row.bytes.len();
                    after.clone_from(&referrer.digest);
                    page.items.push(referrer);
                }
                Ok(page)
            })
            .await
    }
}
