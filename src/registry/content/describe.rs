//! What a person wants to know of an image: its size, its platforms, what it is made of and who needs it.

use std::io::Read;
use std::sync::Arc;

use serde::Deserialize;

use crate::blob::BlobStore;
use crate::meta::{self, Meta, Millis, StoredManifest};
use crate::oci::{Digest, Manifest, Platform, RepositoryName};
use crate::registry::blocking::blocking;
use crate::registry::content::reference::ManifestReference;
use crate::registry::error::Error;
use crate::registry::service::Registry;

/// Configs larger than this are not an image's, and not read for its platform.
const CONFIG_LIMIT: u64 = 4 << 20;

/// An image in a line.
#[derive(Clone, Debug)]
pub struct Summary {
    pub digest: Digest,
    pub media_type: String,
    /// In bytes, with everything it needs, each thing counted once.
    pub size: u64,
    /// As `linux/arm64/v8`, in the order of the index; empty where it has none to speak of.
    pub platforms: Vec<String>,
    pub pushed_at: Millis,
}

/// An image in full.
#[derive(Debug)]
pub struct Description {
    pub summary: Summary,
    pub manifest: Manifest,
    /// The manifest as it was pushed.
    pub bytes: bytes::Bytes,
    pub tags: Vec<String>,
    /// Indexes that name it.
    pub parents: Vec<Digest>,
}

impl Registry {
    /// Sums up the manifest of that digest.
    pub async fn summarise(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Summary, Error> {
        let (meta, blobs) = (self.meta.clone(), Arc::clone(&self.blobs));
        let (name, wanted) = (repository.clone(), digest.clone());
        let found = blocking(move || summarise(&meta, &blobs, &name, &wanted)).await??;
        found
            .map(|(summary, ..)| summary)
            .ok_or_else(|| Error::ManifestUnknown {
                repository: repository.clone(),
                reference: digest.to_string(),
            })
    }

    /// Everything known of a manifest, but its referrers, which are a list of their own.
    pub async fn describe(
        &self,
        repository: &RepositoryName,
        reference: &ManifestReference,
    ) -> Result<Description, Error> {
        let digest = self.manifest(repository, reference)?.digest.clone();
        let (meta, blobs, name, wanted) = (
            self.meta.clone(),
            Arc::clone(&self.blobs),
            repository.clone(),
            digest.clone(),
        );
        let description = blocking(move || {
            let Some((summary, manifest, stored)) = summarise(&meta, &blobs, &name, &wanted)?
            else {
                return Ok(None);
            };
            let (tags, parents) = (meta.tags_of(&name, &wanted)?, meta.parents(&name, &wanted)?);
            Ok::<_, meta::Error>(Some(Description {
                summary,
                manifest,
                bytes: stored.bytes.clone(),
                tags,
                parents,
            }))
        });
        let gone = || Error::ManifestUnknown {
            repository: repository.clone(),
            reference: digest.to_string(),
        };
        description.await??.ok_or_else(gone)
    }
}

type Summarised = (Summary, Manifest, Arc<StoredManifest>);

fn summarise(
    meta: &Meta,
    blobs: &BlobStore,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<Summarised>, meta::Error> {
    let (Some(stored), Some(weight)) = (
        meta.manifest_by_digest(repository, digest)?,
        meta.weigh(repository, digest)?,
    ) else {
        return Ok(None);
    };
    // what is stored was parsed when it came
    let Ok(manifest) = Manifest::parse(Some(&stored.media_type), &stored.bytes) else {
        return Ok(None);
    };
    let children = manifest
        .children
        .iter()
        .filter_map(|child| child.platform.as_ref());
    let platforms: Vec<_> = match &manifest.config {
        Some(config) => Digest::parse(&config.digest)
            .ok()
            .and_then(|config| config_platform(blobs, &config))
            .iter()
            .filter_map(name)
            .collect(),
        None => children.filter_map(name).collect(),
    };
    let summary = Summary {
        digest: stored.digest.clone(),
        media_type: stored.media_type.clone(),
        size: weight.size,
        platforms,
        pushed_at: weight.pushed_at,
    };
    Ok(Some((summary, manifest, stored)))
}

/// The platform an image's config tells, if it is an image's.
fn config_platform(blobs: &BlobStore, digest: &Digest) -> Option<Platform> {
    let mut text = Vec::new();
    blobs
        .open_blob(digest)
        .ok()?
        .take(CONFIG_LIMIT)
        .read_to_end(&mut text)
        .ok()?;
    #[derive(Deserialize)]
    struct Config {
        #[serde(flatten)]
        platform: Platform,
    }
    serde_json::from_slice::<Config>(&text)
        .ok()
        .map(|config| config.platform)
}

/// `OS/ARCHITECTURE[/VARIANT]`; none for attestations, which call themselves `unknown/unknown`, and for artifacts.
fn name(platform: &Platform) -> Option<String> {
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
