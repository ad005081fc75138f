//! Image descriptions for people: size, platforms, composition and references.

use std::sync::Arc;

use crate::meta::{self, Millis, Reader, StoredManifest};
use crate::oci::{Descriptor, Digest, ImageConfig, Manifest, Platform, RepositoryName};
use crate::registry::blocking::blocking;
use crate::registry::content::cached_image::{CachedImage, cached_image};
use crate::registry::content::reference::ManifestReference;
use crate::registry::content::signature_tags::{SignatureTag, signature_tags};
use crate::registry::error::Error;
use crate::registry::facades::Manifests;

/// Maximum size of a config that is read for its platform; larger ones are not image configs.
const CONFIG_LIMIT: u64 = 4 << 20;

/// Summary of an image.
#[derive(Clone, Debug)]
pub struct ImageSummary {
    pub digest: Digest,
    pub media_type: String,
    /// Size in bytes, with everything the manifest references, each item counted once.
    pub size: u64,
    /// Platforms such as `linux/arm64/v8`, in the order of the index; empty if unknown.
    pub platforms: Vec<String>,
    pub pushed_at: Millis,
}

/// Full description of an image.
#[derive(Debug)]
pub struct ImageDescription {
    pub summary: ImageSummary,
    pub manifest: Manifest,
    /// Bytes of the manifest, as pushed.
    pub bytes: bytes::Bytes,
    pub tags: Vec<String>,
    /// Indexes that reference the manifest.
    pub parents: Vec<Digest>,
    /// Config, if it is an image's.
    pub config: Option<ImageConfig>,
    /// Children of an index, in its order.
    pub children: Vec<ChildDescription>,
    /// Tags that sign it by their name, with what they point at.
    pub signature_tags: Vec<SignatureTag>,
    /// Its upstream, if it is cached.
    pub cached: Option<CachedImage>,
}

/// Child of an index.
#[derive(Clone, Debug)]
pub struct ChildDescription {
    pub digest: String,
    pub media_type: String,
    /// Platform such as `linux/arm64/v8`; `None` for attestations and artifacts.
    pub platform: Option<String>,
    /// Size in bytes, with everything that it references; `None` if it is not stored.
    pub size: Option<u64>,
    /// Digest of the child that it attests, as buildx annotates it.
    pub attested: Option<String>,
}

impl Manifests<'_> {
    /// Summarises the manifest with this digest.
    pub async fn summarise(
        self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<ImageSummary, Error> {
        let reference = ManifestReference::Digest(digest.clone());
        let stored = self.get(repository, &reference).await?;
        let (summary, _) = self.sum_up(repository, &stored).await?;
        Ok(summary)
    }

    /// Describes a manifest, except for its referrers, which have a list of their own.
    pub async fn describe(
        self,
        repository: &RepositoryName,
        reference: &ManifestReference,
    ) -> Result<ImageDescription, Error> {
        let stored = self.get(repository, reference).await?;
        let (summary, manifest) = self.sum_up(repository, &stored).await?;
        let (name, digest) = (repository.clone(), stored.digest.clone());
        let children = manifest.children.clone();
        let (tags, parents, children, signature_tags, cached) = self
            .registry
            .scan(move |reader| {
                Ok((
                    reader.tags_of(&name, &digest)?,
                    reader.parents(&name, &digest)?,
                    children
                        .iter()
                        .map(|child| describe_child(reader, &name, child))
                        .collect::<Result<_, _>>()?,
                    signature_tags(reader, &name, &digest)?,
                    cached_image(reader, &name, &digest)?,
                ))
            })
            .await?;
        let config = match &manifest.config {
            Some(config) => self.config(&config.digest).await?,
            None => None,
        };
        Ok(ImageDescription {
            summary,
            manifest,
            bytes: stored.bytes.clone(),
            tags,
            parents,
            config: config.as_deref().and_then(ImageConfig::parse),
            children,
            signature_tags,
            cached,
        })
    }

    async fn sum_up(
        self,
        repository: &RepositoryName,
        stored: &StoredManifest,
    ) -> Result<(ImageSummary, Manifest), Error> {
        let gone = || Error::ManifestUnknown {
            repository: repository.clone(),
            reference: stored.digest.to_string(),
            needed_by: None,
        };
        let (name, digest) = (repository.clone(), stored.digest.clone());
        let weight = self
            .registry
            .scan(move |reader| reader.manifest_size(&name, &digest))
            .await?
            .ok_or_else(gone)?;
        // a stored manifest was parsed when it was pushed
        let manifest =
            Manifest::parse(Some(&stored.media_type), &stored.bytes).map_err(|_| gone())?;
        let platforms = match &manifest.config {
            Some(config) => self
                .config(&config.digest)
                .await?
                .and_then(|bytes| Platform::of_config(&bytes))
                .iter()
                .filter_map(name_of)
                .collect(),
            None => manifest
                .children
                .iter()
                .filter_map(|child| child.platform.as_ref())
                .filter_map(name_of)
                .collect(),
        };
        let summary = ImageSummary {
            digest: stored.digest.clone(),
            media_type: stored.media_type.clone(),
            size: weight.size,
            platforms,
            pushed_at: weight.pushed_at,
        };
        Ok((summary, manifest))
    }

    /// Reads a blob that a repository holds, or the begin of a larger one; `None` if it holds none.
    pub async fn content(
        self,
        repository: &RepositoryName,
        digest: &Digest,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        let link = meta::point(|reader| reader.link(repository, digest));
        if self.registry.meta.read(link).await?.is_none() {
            return Ok(None);
        }
        let (blobs, digest) = (Arc::clone(&self.registry.blobs), digest.clone());
        blocking(move || blobs.read_blob(&digest, limit).ok()).await
    }

    /// Reads a config; `None` if it is not stored here, or too large to be an image's.
    pub async fn config(self, digest: &str) -> Result<Option<Vec<u8>>, Error> {
        let Ok(digest) = Digest::parse(digest) else {
            return Ok(None);
        };
        let blobs = Arc::clone(&self.registry.blobs);
        blocking(move || blobs.read_blob(&digest, CONFIG_LIMIT).ok()).await
    }
}

fn describe_child(
    reader: &Reader<'_>,
    repository: &RepositoryName,
    child: &Descriptor,
) -> Result<ChildDescription, meta::Error> {
    let size = match Digest::parse(&child.digest) {
        Ok(digest) => reader.manifest_size(repository, &digest)?,
        Err(_) => None,
    };
    let annotation = |name: &str| child.annotations.as_ref()?.get(name).cloned();
    let is_attestation =
        annotation("vnd.docker.reference.type").as_deref() == Some("attestation-manifest");
    Ok(ChildDescription {
        digest: child.digest.clone(),
        media_type: child.media_type.clone(),
        platform: child.platform.as_ref().and_then(name_of),
        size: size.map(|weight| weight.size),
        attested: annotation("vnd.docker.reference.digest").filter(|_| is_attestation),
    })
}

/// Formats a platform as `OS/ARCHITECTURE[/VARIANT]`.
///
/// Returns `None` for artifacts, and for attestations, which use `unknown/unknown`.
pub(in crate::registry) fn name_of(platform: &Platform) -> Option<String> {
    let Platform {
        os,
        architecture,
        variant,
    } = platform;
    if os.is_empty() || architecture.is_empty() || os == "unknown" {
        return None;
    }
    Some(
        match variant.as_deref().filter(|variant| !variant.is_empty()) {
            Some(variant) => format!("{os}/{architecture}/{variant}"),
            None => format!("{os}/{architecture}"),
        },
    )
}
