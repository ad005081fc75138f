//! Lists of an upstream: tags, repositories and referrers, page after page.

use std::collections::BTreeSet;

use http::header::{ACCEPT, LINK};
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::Error;
use super::login::Scope;
use super::origin::resolve;
use super::request::{Answer, Ask, Lane, Upstream};
use crate::oci::layout::LayoutIndex;
use crate::oci::{Descriptor, Digest, MediaType, RepositoryName};

/// Maximum size of a page, in bytes.
const PAGE: usize = 4 << 20;
/// Maximum number of names in a list, and of their bytes.
const NAMES: usize = 1 << 18;
const NAMES_BYTES: usize = 16 << 20;
/// Maximum number of pages after each other that name nothing new, as those of a filtered list do.
const BARREN_PAGES: usize = 100;
/// Maximum number of pages of referrers.
const REFERRER_PAGES: usize = 16;
/// Maximum number of referrers of one manifest.
const REFERRERS: usize = 1 << 14;
/// Number of names that a page is asked for.
const PAGE_NAMES: usize = 1000;

/// A page of tags.
#[derive(Deserialize)]
struct TagPage {
    /// `null` for none.
    tags: Option<Vec<String>>,
}

/// A page of repositories.
#[derive(Deserialize)]
struct RepositoryPage {
    repositories: Option<Vec<String>>,
}

impl Upstream {
    /// Lists the tags of a repository, as the upstream writes them.
    ///
    /// # Errors
    /// The failures of every request, and [`Error::Broken`] for a list without an end.
    pub async fn tags(&self, repository: &RepositoryName) -> Result<BTreeSet<String>, Error> {
        let name = self.name(repository);
        let path = format!("{name}/tags/list?n={PAGE_NAMES}");
        let names = |page: TagPage| page.tags.unwrap_or_default();
        self.list(&path, &Scope::Pull(name), names).await
    }

    /// Lists all repositories that the login may see, which Docker Hub refuses.
    ///
    /// # Errors
    /// As [`Self::tags`].
    pub async fn repositories(&self) -> Result<BTreeSet<String>, Error> {
        let path = format!("_catalog?n={PAGE_NAMES}");
        self.log_in(&Scope::Catalog).await?;
        let names = |page: RepositoryPage| page.repositories.unwrap_or_default();
        self.list(&path, &Scope::Catalog, names).await
    }

    /// Lists what is about a manifest; `None` if the upstream does not know such lists.
    ///
    /// # Errors
    /// As [`Self::tags`].
    pub async fn referrers(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, Error> {
        let name = self.name(repository);
        let url = self.origin().url(&format!("{name}/referrers/{digest}"))?;
        let scope = Scope::Pull(name);
        let mut next = Some(url);
        let (mut found, mut pages) = (Vec::new(), 0);
        while let Some(url) = next {
            pages += 1;
            let mut answer = match self
                .page(url.clone(), &scope, Some(MediaType::OCI_INDEX))
                .await
            {
                Err(Error::NotFound) if found.is_empty() => return Ok(None),
                answer => answer?,
            };
            let page: LayoutIndex = parse(&mut answer).await?;
            next = self
                .following(&answer)?
                .filter(|next| !page.manifests.is_empty() || *next != url);
            found.extend(page.manifests);
            if found.len() > REFERRERS || pages > REFERRER_PAGES {
                return Err(endless());
            }
        }
        Ok(Some(found))
    }

    async fn list<P: DeserializeOwned>(
        &self,
        path: &str,
        scope: &Scope,
        names: impl Fn(P) -> Vec<String>,
    ) -> Result<BTreeSet<String>, Error> {
        let mut next = Some(self.origin().url(path)?);
        let (mut found, mut bytes, mut barren) = (BTreeSet::new(), 0, 0);
        while let Some(url) = next {
            let mut answer = self.page(url.clone(), scope, None).await?;
            let page = names(parse(&mut answer).await?);
            let before = found.len();
            bytes += page.iter().map(String::len).sum::<usize>();
            found.extend(page);
            barren = if found.len() > before { 0 } else { barren + 1 };
            // a server that knows no pages answers each with the first, and leads to itself
            next = self
                .following(&answer)?
                .filter(|next| found.len() > before || *next != url);
            if barren > BARREN_PAGES || found.len() > NAMES || bytes > NAMES_BYTES {
                return Err(endless());
            }
        }
        Ok(found)
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

async fn parse<P: DeserializeOwned>(answer: &mut Answer) -> Result<P, Error> {
    let body = answer.read(PAGE).await?;
    serde_json::from_slice(&body).map_err(|_| Error::Broken("its list is not one".to_owned()))
}

fn endless() -> Error {
    Error::Broken("its list has no end".to_owned())
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
