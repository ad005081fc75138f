//! The upstream of a cached image, and its tags that are gone there.

use std::sync::Arc;

use crate::meta::{self, GoneTag, Reader, RepositorySource};
use crate::oci::{Digest, RepositoryName};

/// Upstream of a cached image, and what is gone there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedImage {
    /// URL of the upstream.
    pub upstream: Arc<str>,
    /// Tags of the image that the upstream does not have any more.
    pub gone_tags: Vec<GoneTag>,
}

/// Returns what is known of an image's upstream; `None` for one's own.
pub(in crate::registry) fn cached_image(
    meta: &Reader<'_>,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<CachedImage>, meta::Error> {
    let Some(RepositorySource::Upstream(upstream)) = meta.repository_source(repository)? else {
        return Ok(None);
    };
    Ok(Some(CachedImage {
        upstream,
        gone_tags: meta.gone_tags_of(repository, digest)?,
    }))
}
