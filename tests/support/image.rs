//! Reproducible images: the same seed gives the same bytes.

use serde_json::{Value, json};

use super::client::{Client, Response};
use super::content::{OCI_CONFIG, OCI_MANIFEST, noise, sha256};
use super::hub::Hub;
use super::wait::eventually;

const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A descriptor of the content.
pub fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": sha256(content), "size": content.len() })
}

/// An image manifest with its config and layers.
#[derive(Clone)]
pub struct Image {
    pub config: Vec<u8>,
    pub layers: Vec<Vec<u8>>,
    pub manifest: Vec<u8>,
}

impl Image {
    /// Makes an image of the given layers; `name` makes its config and manifest unique.
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

    /// Makes a small image of one layer.
    pub fn small(seed: u64) -> Self {
        Self::new(&format!("image {seed}"), vec![noise(seed, 1000)])
    }

    /// Makes an image with this config.
    pub fn with_config(self, config: Vec<u8>) -> Self {
        let mut manifest: Value = serde_json::from_slice(&self.manifest).expect("JSON");
        manifest["config"] = descriptor(OCI_CONFIG, &config);
        Self {
            config,
            layers: self.layers,
            manifest: manifest.to_string().into_bytes(),
        }
    }

    pub fn digest(&self) -> String {
        sha256(&self.manifest)
    }

    /// Pushes the blobs, then the manifest under a tag.
    pub fn push(&self, client: &mut Client, repository: &str, tag: &str) {
        let response = self.try_push(client, repository, tag);
        assert_eq!(response.status, 201, "{response:?}");
    }

    /// Pushes, and begins again when the leases of its blobs end on the way: a slow disk may take longer than a short lease.
    pub fn push_again(&self, client: &mut Client, repository: &str, tag: &str) {
        eventually("a push within the lease", || {
            let response = self.try_push(client, repository, tag);
            if response.status != 201 {
                response.refused(400, "MANIFEST_BLOB_UNKNOWN");
            }
            response.status == 201
        });
    }

    fn try_push(&self, client: &mut Client, repository: &str, tag: &str) -> Response {
        for blob in self.layers.iter().chain([&self.config]) {
            client.push_blob(repository, blob);
        }
        client.put_manifest(repository, tag, OCI_MANIFEST, &self.manifest)
    }

    /// Asserts that a pull of the tag gives exactly this image.
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

impl Hub {
    /// Adds an image under a tag.
    pub fn add(&self, repository: &str, tag: &str, image: &Image) {
        for blob in image.layers.iter().chain([&image.config]) {
            self.add_blob(repository, blob);
        }
        self.add_manifest(repository, Some(tag), OCI_MANIFEST, &image.manifest);
    }
}
