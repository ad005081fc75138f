//! Images, made of bytes that a seed decides.

use serde_json::{Value, json};
use sha2::Digest;

use super::Client;

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// `sha256:…` of the content, computed by another implementation than the server's.
pub fn sha256(content: &[u8]) -> String {
    format!(
        "sha256:{}",
        sha2::Sha256::digest(content)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    )
}

pub fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": sha256(content), "size": content.len() })
}

/// Bytes that look random and are the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// An image manifest with everything it needs.
#[derive(Clone)]
pub struct Image {
    pub config: Vec<u8>,
    pub layers: Vec<Vec<u8>>,
    pub manifest: Vec<u8>,
}

impl Image {
    /// An image of the given layers; `name` makes its config, and so its manifest, its own.
    pub fn new(name: &str, layers: Vec<Vec<u8>>) -> Self {
        let config = json!({ "architecture": "amd64", "os": "linux", "config": { "Labels": { "name": name } } }).to_string().into_bytes();
        let described: Vec<_> = layers
            .iter()
            .map(|layer| descriptor(OCI_LAYER, layer))
            .collect();
        let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(OCI_CONFIG, &config), "layers": described });
        Self {
            config,
            layers,
            manifest: manifest.to_string().into_bytes(),
        }
    }

    /// A small image of one layer.
    pub fn small(seed: u64) -> Self {
        Self::new(&format!("image {seed}"), vec![noise(seed, 1000)])
    }

    pub fn digest(&self) -> String {
        sha256(&self.manifest)
    }

    /// Pushes blobs and manifest under a tag.
    pub fn push(&self, client: &mut Client, repository: &str, tag: &str) {
        for blob in self.layers.iter().chain([&self.config]) {
            client.push_blob(repository, blob);
        }
        let response = client.put_manifest(repository, tag, OCI_MANIFEST, &self.manifest);
        assert_eq!(response.status, 201, "{response:?}");
    }

    /// Asserts that the tag gives this image, whole.
    pub fn assert_pulls(&self, client: &mut Client, repository: &str, tag: &str) {
        let manifest = client.get(&format!("/v2/{repository}/manifests/{tag}"));
        assert_eq!(
            (manifest.status, manifest.body.as_slice()),
            (200, self.manifest.as_slice()),
            "{repository}:{tag}"
        );
        for blob in self.layers.iter().chain([&self.config]) {
            let response = client.get(&format!("/v2/{repository}/blobs/{}", sha256(blob)));
            assert_eq!(
                (response.status, response.body.as_slice()),
                (200, blob.as_slice()),
                "a blob of {repository}:{tag}"
            );
        }
    }
}
