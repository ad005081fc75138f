//! The manifests of images that `docker save` and `podman save` write without one.

use serde::Deserialize;
use serde_json::json;

use super::compression::Compression;
use super::contents::NamedFile;
use crate::oci::MediaType;

const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// An entry of `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SavedImage {
    pub config: String,
    #[serde(default)]
    pub repo_tags: Option<Vec<String>>,
    #[serde(default)]
    pub layers: Option<Vec<String>>,
}

/// Makes the manifest of an image: of Docker's types, as skopeo does, unless a layer has none of them.
pub(super) fn manifest(config: &NamedFile, layers: &[NamedFile]) -> Vec<u8> {
    let is_docker = layers
        .iter()
        .all(|layer| layer.compression != Compression::Zstd);
    let descriptor = |media_type: &str, file: &NamedFile| json!({ "mediaType": media_type, "size": file.size, "digest": file.digest.as_str() });
    let layers = layers.iter().map(|layer| {
        let media_type = match (is_docker, layer.compression) {
            (true, Compression::Gzip) => format!("{DOCKER_LAYER}.gzip"),
            (true, _) => DOCKER_LAYER.to_owned(),
            (false, Compression::Gzip) => format!("{OCI_LAYER}+gzip"),
            (false, Compression::Zstd) => format!("{OCI_LAYER}+zstd"),
            (false, _) => OCI_LAYER.to_owned(),
        };
        descriptor(&media_type, layer)
    });
    let layers: Vec<_> = layers.collect();
    let (media_type, config_type) = if is_docker {
        (MediaType::DOCKER_MANIFEST, MediaType::DOCKER_CONFIG)
    } else {
        (MediaType::OCI_MANIFEST, MediaType::OCI_CONFIG)
    };
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type, "config": descriptor(config_type, config), "layers": layers,
    });
    manifest.to_string().into_bytes()
}
