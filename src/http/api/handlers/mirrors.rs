//! Pulls from repositories that may show the content of another registry, which is brought here first.

use axum::body::Body;
use http::header::WARNING;
use http::request::Parts;
use http::{HeaderValue, Method, Response, Version};

use crate::http::api::handlers::{blobs, manifests};
use crate::http::response::error::ApiError;
use crate::mirror::{self, BroughtBlob, Currency, KnownBlob, Mirrors};
use crate::oci::{Digest, RepositoryName};
use crate::registry::{Error, ManifestReference, Registry};

/// Warning that the upstream could not be asked (RFC 7234, section 5.5.2).
pub(super) const STALE: &str = "111 - \"Revalidation Failed\"";
/// Warning that the upstream has it no more.
const GONE: &str = "199 - \"Gone upstream\"";

/// Maximum number of times that a manifest is brought for one request.
const TRIES: usize = 3;

/// A pull from a repository that may be a mirror.
pub(crate) struct Pull<'p> {
    mirrors: &'p Mirrors,
    registry: &'p Registry,
    head: &'p Parts,
}

impl<'p> Pull<'p> {
    pub(crate) fn new(mirrors: &'p Mirrors, registry: &'p Registry, head: &'p Parts) -> Self {
        Self {
            mirrors,
            registry,
            head,
        }
    }

    pub(crate) async fn manifest(
        &self,
        name: &RepositoryName,
        reference: &ManifestReference,
    ) -> Result<Response<Body>, ApiError> {
        let answer = self.any_manifest(name, reference).await;
        self.ended(name, answer)
    }

    pub(crate) async fn blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Response<Body>, ApiError> {
        let answer = self.any_blob(name, digest).await;
        self.ended(name, answer)
    }

    /// Counts a pull that was answered, and says why an upstream was not asked for what is not here.
    fn ended<T>(&self, name: &RepositoryName, answer: Result<T, ApiError>) -> Result<T, ApiError> {
        match answer {
            Ok(_) if self.head.method == Method::GET => self.mirrors.count_pull(name),
            Err(ApiError::Registry(error)) if error.is_absence() => {
                self.mirrors.check_allowed(name)?;
                return Err(error.into());
            }
            _ => {}
        }
        answer
    }

    async fn any_manifest(
        &self,
        name: &RepositoryName,
        reference: &ManifestReference,
    ) -> Result<Response<Body>, ApiError> {
        let mut tries = TRIES;
        let (currency, mut answer) = loop {
            let bringing = self.mirrors.bring_manifest(self.registry, name, reference);
            let currency = bringing.await?;
            tries -= 1;
            match manifests::get(self.registry, name, reference, self.head).await {
                // evicted since it was found here
                Err(error) if is_unknown(&error) && currency != Currency::Alone && tries > 0 => {}
                answer => break (currency, answer?),
            }
        };
        let warning = match currency {
            Currency::Current | Currency::Alone => return Ok(answer),
            Currency::Stale => STALE,
            Currency::Gone => GONE,
        };
        let warning = HeaderValue::from_static(warning);
        answer.headers_mut().insert(WARNING, warning);
        Ok(answer)
    }

    async fn any_blob(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Response<Body>, ApiError> {
        let (registry, head) = (self.registry, self.head);
        if head.method == Method::HEAD {
            let asking = self.mirrors.ask_for_blob(registry, name, digest);
            if let KnownBlob::Upstream { size } = asking.await? {
                return blobs::head_elsewhere(registry, name, digest, size, head);
            }
        } else {
            let bringing = self.mirrors.bring_blob(registry, name, digest);
            if let BroughtBlob::Arriving(mut blob) = bringing.await? {
                // the end of the connection is all that HTTP/1.0 has, and it looks the same where a fetch has failed
                if blob.size().is_none() && head.version < Version::HTTP_11 {
                    blob = blob.whole().await.map_err(|_| mirror::Error::Interrupted)?;
                }
                return blobs::get_arriving(registry, name, digest, blob, head);
            }
        }
        blobs::get(registry, name, digest, head).await
    }
}

fn is_unknown(error: &ApiError) -> bool {
    matches!(error, ApiError::Registry(Error::ManifestUnknown { .. }))
}
