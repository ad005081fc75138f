//! Image descriptions for people: size, platforms, composition and references.

use std::sync::Arc;

use crate::blob::BlobStore;
use crate::meta::{Millis, StoredManifest};
use crate::oci::{Digest, Manifest, Platform, RepositoryName};
use crate::registry::blocking::blocking;
use crate::registry::content::reference::ManifestReference;
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
        let (tags, parents) = self
            .registry
            .scan(move |reader| {
                Ok((
                    reader.tags_of(&name, &digest)?,
                    reader.parents(&name, &digest)?,
                ))
            })
            .await?;
        Ok(ImageDescription {
            summary,
            manifest,
            bytes: stored.bytes.clone(),
            tags,
            parents,
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
                .config_platform(&config.digest)
                .await?
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

    async fn config_platform(self, digest: &str) -> Result<Option<Platform>, Error> {
        let Ok(digest) = Digest::parse(digest) else {
            return Ok(None);
        };
        let blobs = Arc::clone(&self.registry.blobs);
        blocking(move || config_platform(&blobs, &digest)).await
    }
}

/// Returns the platform named by an image's config, if it is one.
fn config_platform(blobs: &BlobStore, digest: &Digest) -> Option<Platform> {
    let text = blobs.read_blob(digest, CONFIG_LIMIT).ok()?;
    Platform::of_config(&text)
}

/// Formats a platform as `OS/ARCHITECTURE[/VARIANT]`.
///
/// Returns `None` for artifacts, and for attestations, which use `unknown/unknown`.
fn name_of(platform: &Platform) -> Option<String> {
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
