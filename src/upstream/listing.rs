//! Lists of an upstream: tags, repositories and referrers, page after page.

use std::collections::BTreeSet;

use http::header::{ACCEPT, LINK};
use http::{HeaderMap, HeaderValue, Method, Uri};

use super::error::Error;
use super::login::Scope;
use super::origin::resolve;
use super::page::{self, Names, Referrers, endless};
use super::request::{Answer, Ask, Lane, Upstream};
use crate::oci::{Digest, MediaType, Referrer, RepositoryName};

/// Maximum size of a page, in bytes.
const PAGE: usize = 4 << 20;
/// Maximum number of pages after each other that name nothing new, as those of a filtered list do.
const BARREN_PAGES: usize = 100;
/// Maximum number of pages of referrers.
const REFERRER_PAGES: usize = 16;
/// Number of names that a page is asked for.
const PAGE_NAMES: usize = 1000;

impl Upstream {
    /// Lists the tags of a repository, as the upstream writes them.
    ///
    /// # Errors
    /// The failures of every request, and [`Error::Broken`] for a list without an end.
    pub async fn tags(&self, repository: &RepositoryName) -> Result<BTreeSet<String>, Error> {
        let name = self.name(repository);
        let path = format!("{name}/tags/list?n={PAGE_NAMES}");
        self.list(&path, &Scope::Pull(name), "tags").await
    }

    /// Lists all repositories that the login may see, which Docker Hub refuses.
    ///
    /// # Errors
    /// As [`Self::tags`].
    pub async fn repositories(&self) -> Result<BTreeSet<String>, Error> {
        let path = format!("_catalog?n={PAGE_NAMES}");
        self.log_in(&Scope::Catalog).await?;
        self.list(&path, &Scope::Catalog, "repositories").await
    }

    /// Lists what is about a manifest; `None` if the upstream does not know such lists.
    ///
    /// # Errors
    /// As [`Self::tags`].
    pub async fn referrers(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Vec<Referrer>>, Error> {
        let name = self.name(repository);
        let url = self.origin().url(&format!("{name}/referrers/{digest}"))?;
        let scope = Scope::Pull(name);
        let mut next = Some(url);
        let (mut found, mut pages) = (Referrers::default(), 0);
        while let Some(url) = next {
            pages += 1;
            let mut answer = match self
                .page(url.clone(), &scope, Some(MediaType::OCI_INDEX))
                .await
            {
                Err(Error::NotFound) if pages == 1 => return Ok(None),
                answer => answer?,
            };
            let page = answer.read(PAGE).await?;
            let count = page::read(&page, "manifests", &mut found)?;
            next = self
                .following(&answer)?
                .filter(|next| count > 0 || *next != url);
            if pages > REFERRER_PAGES {
                return Err(endless());
            }
        }
        Ok(Some(found.all))
    }

    /// Reads the list that clients keep as a tag where a registry has none ("Referrers Tag Schema").
    ///
    /// # Errors
    /// As [`Self::tags`].
    pub async fn referrers_by_tag(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Vec<Referrer>, Error> {
        let tag = digest.as_str().replacen(':', "-", 1);
        let index = match self.manifest(repository, &tag).await {
            Err(Error::NotFound) => return Ok(Vec::new()),
            index => index?,
        };
        let mut found = Referrers::default();
        // whatever else has that tag is no list
        Ok(match page::read(&index, "manifests", &mut found) {
            Ok(_) => found.all,
            Err(_) => Vec::new(),
        })
    }

    async fn list(
        &self,
        path: &str,
        scope: &Scope,
        key: &'static str,
    ) -> Result<BTreeSet<String>, Error> {
        let mut next = Some(self.origin().url(path)?);
        let (mut found, mut barren) = (Names::default(), 0);
        while let Some(url) = next {
            let mut answer = self.page(url.clone(), scope, None).await?;
            let page = answer.read(PAGE).await?;
            let before = found.all.len();
            page::read(&page, key, &mut found)?;
            let has_news = found.all.len() > before;
            barren = if has_news { 0 } else { barren + 1 };
            // a server that knows no pages answers each with the first, and leads to itself
            next = self
                .following(&answer)?
                .filter(|next| has_news || *next != url);
            if barren > BARREN_PAGES {
                return Err(endless());
            }
        }
        Ok(found.all)
    }

    async fn page(
        &self,
        url: Uri,
        scope: &Scope,
        accept: Option<&'static str>,
    ) -> Result<Answer, Error> {
        let accept = accept.unwrap_or("application/json");
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
        let ask = Ask {
            method: Method::GET,
            url,
            scope,
            lane: Lane::Question,
            headers,
        };
        self.send(ask).await
    }

    /// Returns the address of the next page, which must be on the same server.
    fn following(&self, answer: &Answer) -> Result<Option<Uri>, Error> {
        let Some(link) = answer.header(LINK) else {
            return Ok(None);
        };
        let url = next_link(link).and_then(|target| resolve(&answer.url, target));
        let is_here = |url: &Uri| self.origin().is_at(url);
        match url {
            Some(url) if is_here(&url) => Ok(Some(url)),
            _ => Err(Error::Broken(
                "its next page is on another server".to_owned(),
            )),
        }
    }
}

/// Returns the target of `Link: <…>; rel="next"`.
fn next_link(header: &str) -> Option<&str> {
    header.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| {
            let parameter = parameter.trim();
            parameter == "rel=next" || parameter == "rel=\"next\""
        });
        is_next.then_some(target)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_to_the_next_page_is_found() {
        let next = "</v2/a/tags/list?last=b>; rel=\"next\"";
        assert_eq!(next_link(next), Some("/v2/a/tags/list?last=b"));
        assert_eq!(next_link("<a>; rel=prev, <b>; rel=next"), Some("b"));
        for text in ["", "a", "<a>", "<a>; rel=prev", "<a; rel=next"] {
            assert_eq!(next_link(text), None, "{text}");
        }
    }
}
