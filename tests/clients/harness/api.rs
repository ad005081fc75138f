//! Reading from a registry over HTTP: from the one under test, or another.

use std::collections::BTreeMap;

use serde_json::Value;
use ureq::Agent;
use ureq::http::Response;

use crate::support::content::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, sha256};

const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

const MANIFEST_TYPES: [&str; 4] = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];

/// Blobs and manifests by digest.
pub type Content = BTreeMap<String, Vec<u8>>;

#[derive(Debug, PartialEq)]
pub struct Manifest {
    pub media_type: String,
    pub digest: String,
    pub bytes: Vec<u8>,
}

impl Manifest {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }

    pub fn config(&self) -> String {
        text(&self.json()["config"]["digest"])
    }

    pub fn layers(&self) -> Vec<String> {
        list(&self.json()["layers"])
            .iter()
            .map(|layer| text(&layer["digest"]))
            .collect()
    }

    pub fn children(&self) -> Vec<Value> {
        list(&self.json()["manifests"])
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// A registry's API at an address, host and port.
pub struct Api {
    address: String,
    agent: Agent,
}

impl Api {
    pub fn new(address: &str) -> Self {
        let config = Agent::config_builder().http_status_as_error(false);
        Self {
            address: address.to_owned(),
            agent: config.build().into(),
        }
    }

    /// Sends a GET of a path below `/v2/`.
    pub fn get(&self, path: &str) -> Response<Vec<u8>> {
        let url = format!("http://{}/v2/{path}", self.address);
        let reply = self.agent.get(url).header("Accept", ACCEPT).call().unwrap();
        let (parts, mut body) = reply.into_parts();
        let body = body.with_config().limit(1 << 30).read_to_vec().unwrap();
        Response::from_parts(parts, body)
    }

    fn found(&self, path: &str) -> Response<Vec<u8>> {
        let reply = self.get(path);
        let body = String::from_utf8_lossy(reply.body());
        assert_eq!(reply.status(), 200, "{path}: {body}");
        reply
    }

    pub fn json(&self, path: &str) -> Value {
        serde_json::from_slice(self.found(path).body()).unwrap()
    }

    /// Fetches a manifest by tag or digest; computes its digest from its bytes.
    pub fn manifest(&self, repo: &str, reference: &str) -> Manifest {
        let reply = self.found(&format!("{repo}/manifests/{reference}"));
        let header = |name| reply.headers()[name].to_str().unwrap().to_owned();
        let manifest = Manifest {
            media_type: header("content-type"),
            digest: sha256(reply.body()),
            bytes: reply.body().clone(),
        };
        assert_eq!(header("docker-content-digest"), manifest.digest);
        if reference.starts_with("sha256:") {
            assert_eq!(reference, manifest.digest);
        }
        manifest
    }

    pub fn blob(&self, repo: &str, expected: &str) -> Vec<u8> {
        let blob = self.found(&format!("{repo}/blobs/{expected}")).into_body();
        assert_eq!(sha256(&blob), expected);
        blob
    }

    /// Fetches a manifest or index with everything that it references.
    pub fn content(&self, repo: &str, reference: &str) -> Content {
        let manifest = self.manifest(repo, reference);
        let mut content = Content::new();
        for child in manifest.children() {
            let digest = text(&child["digest"]);
            if MANIFEST_TYPES.contains(&child["mediaType"].as_str().unwrap_or_default()) {
                content.extend(self.content(repo, &digest));
            } else {
                // of a build cache
                content.insert(digest.clone(), self.blob(repo, &digest));
            }
        }
        if manifest.children().is_empty() {
            for blob in manifest.layers().into_iter().chain([manifest.config()]) {
                content.insert(blob.clone(), self.blob(repo, &blob));
            }
        }
        content.insert(manifest.digest, manifest.bytes);
        content
    }

    pub fn tags(&self, repo: &str) -> Vec<String> {
        let tags = self.json(&format!("{repo}/tags/list"));
        list(&tags["tags"]).iter().map(text).collect()
    }

    pub fn referrers(&self, repo: &str, subject: &str) -> Vec<Value> {
        list(&self.json(&format!("{repo}/referrers/{subject}"))["manifests"])
    }

    pub fn is_gone(&self, repo: &str, reference: &str) -> bool {
        self.get(&format!("{repo}/manifests/{reference}")).status() == 404
    }
}
