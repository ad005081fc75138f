//! Manifests of an upstream.

use bytes::Bytes;
use http::header::{ACCEPT, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::error::Error;
use super::login::Scope;
use super::request::{Answer, Ask, Lane, Upstream};
use crate::oci::{Digest, MediaType, RepositoryName};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Answer of an upstream about a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestHead {
    /// It is the known one.
    Unchanged,
    Found {
        /// `None` if the upstream does not say it.
        digest: Option<Digest>,
    },
}

impl Upstream {
    /// Fetches a manifest by its tag or digest. Whoever stores it compares it with its digest.
    ///
    /// # Errors
    /// [`Error::Broken`] if it is larger than the limit, and the failures of every request.
    pub async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &str,
    ) -> Result<Bytes, Error> {
        let mut answer = self
            .ask_for_manifest(Method::GET, repository, reference, None)
            .await?;
        answer.read(self.manifest_limit()).await
    }

    /// Asks which manifest a tag names, which costs no quota; `known` is the one that is here.
    ///
    /// # Errors
    /// The failures of every request.
    pub async fn head_manifest(
        &self,
        repository: &RepositoryName,
        reference: &str,
        known: Option<&Digest>,
    ) -> Result<ManifestHead, Error> {
        let asked = self
            .ask_for_manifest(Method::HEAD, repository, reference, known)
            .await?;
        if asked.status == StatusCode::NOT_MODIFIED {
            return Ok(ManifestHead::Unchanged);
        }
        let digest = digest(&asked);
        Ok(match digest.is_some() && digest.as_ref() == known {
            true => ManifestHead::Unchanged,
            false => ManifestHead::Found { digest },
        })
    }

    async fn ask_for_manifest(
        &self,
        method: Method,
        repository: &RepositoryName,
        reference: &str,
        known: Option<&Digest>,
    ) -> Result<Answer, Error> {
        let name = self.name(repository);
        let url = self
            .origin()
            .url(&format!("{name}/manifests/{reference}"))?;
        let scope = Scope::Pull(name);
        let mut headers = HeaderMap::new();
        for media_type in MediaType::MANIFESTS {
            headers.append(ACCEPT, HeaderValue::from_static(media_type));
        }
        let tag = known.and_then(|digest| HeaderValue::try_from(format!("\"{digest}\"")).ok());
        if let Some(tag) = tag {
            headers.insert(IF_NONE_MATCH, tag);
        }
        let ask = Ask {
            method,
            url,
            scope: &scope,
            lane: Lane::Question,
            headers,
        };
        self.send(ask).await
    }
}

/// Returns the digest that an answer names; an entity tag may be one.
fn digest(answer: &Answer) -> Option<Digest> {
    let named = answer.header(CONTENT_DIGEST);
    let named = named.or_else(|| Some(answer.header(ETAG)?.trim_matches('"')));
    Digest::parse(named?).ok()
}
