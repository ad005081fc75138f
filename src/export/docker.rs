//! The file with which every version of `docker load` finds images (`manifest.json` of `docker save`).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::export::error::Error;
use crate::oci::{Digest, MediaType, layout};
use crate::registry::{self, ExportedManifest};

/// An image as `docker load` reads it.
pub(super) struct DockerImage {
    config: Digest,
    layers: Vec<Digest>,
    pub tags: BTreeSet<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed<'i> {
    config: String,
    repo_tags: &'i BTreeSet<String>,
    layers: Vec<String>,
}

impl DockerImage {
    /// Reads an image, without its tags.
    ///
    /// # Errors
    /// It is an index or an artifact, or has layers that are not stored.
    pub fn of(read: &ExportedManifest, name: &str) -> Result<Self, Error> {
        if !read.manifest.children.is_empty() {
            return Err(Error::SeveralPlatforms(name.to_owned()));
        }
        let config = read.manifest.config.as_ref();
        let config = config
            .filter(|config| is_image(&config.media_type))
            .ok_or_else(|| Error::NoImage(name.to_owned()))?;
        let parse = |text: &str| Digest::parse(text).map_err(registry::Error::from);
        let mut layers = Vec::with_capacity(read.manifest.layers.len());
        for layer in &read.manifest.layers {
            let digest = parse(&layer.digest)?;
            if !read.blobs.contains_key(&digest) {
                return Err(Error::Incomplete {
                    image: name.to_owned(),
                    digest,
                });
            }
            layers.push(digest);
        }
        Ok(Self {
            config: parse(&config.digest)?,
            layers,
            tags: BTreeSet::new(),
        })
    }
}

/// Reports whether a config of this type is that of an image that can be run.
pub(super) fn is_image(config: &str) -> bool {
    matches!(config, MediaType::OCI_CONFIG | MediaType::DOCKER_CONFIG)
}

/// Returns the content of the file.
pub(super) fn file(images: &BTreeMap<Digest, DockerImage>) -> serde_json::Result<Vec<u8>> {
    let listed: Vec<_> = images
        .values()
        .map(|image| Listed {
            config: layout::blob_path(&image.config),
            repo_tags: &image.tags,
            layers: image.layers.iter().map(layout::blob_path).collect(),
        })
        .collect();
    serde_json::to_vec(&listed)
}
