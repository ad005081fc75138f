//! Generated images, which tests compare with the images that come back.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use serde_json::{Value, json};

use crate::harness::api::Content;
use crate::support::content::{OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, noise, sha256};

const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

const TAR_BLOCK: usize = 512;

/// Makes a tar archive of one file, as layers are.
pub fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0; TAR_BLOCK];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.extend(content);
    archive.resize(archive.len().next_multiple_of(TAR_BLOCK) + 2 * TAR_BLOCK, 0);
    archive
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    filter("gzip", &["-n", "-1"], bytes)
}

pub fn gunzip(bytes: &[u8]) -> Vec<u8> {
    filter("gzip", &["-d"], bytes)
}

fn filter(program: &str, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{program} failed");
    output.stdout
}

/// An OCI image layout, filled by a test.
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    pub fn new(root: PathBuf) -> Self {
        fs::create_dir_all(root.join("blobs/sha256")).unwrap();
        let version = json!({"imageLayoutVersion": "1.0.0"});
        fs::write(root.join("oci-layout"), version.to_string()).unwrap();
        Self { root }
    }

    /// Makes a layout with an index `v1` of images for amd64 and arm64 that share a layer.
    pub fn multi_arch(root: PathBuf) -> Self {
        let layout = Self::new(root);
        let shared = tar("shared", &noise(1, 300_000));
        let images = ["amd64", "arm64"].map(|arch| {
            let own = tar("arch", arch.as_bytes());
            layout.image(arch, &[shared.clone(), own])
        });
        layout.tag("v1", &layout.index(&images));
        layout
    }

    fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = sha256(bytes);
        let path = self.root.join("blobs").join(digest.replace(':', "/"));
        fs::write(path, bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// Adds an image of gzipped layers and returns its descriptor.
    pub fn image(&self, arch: &str, layers: &[Vec<u8>]) -> Value {
        let zipped: Vec<Value> = layers
            .iter()
            .map(|layer| self.blob(&format!("{OCI_LAYER}+gzip"), &gzip(layer)))
            .collect();
        self.manifest(arch, &zipped, layers)
    }

    /// Adds an image of uncompressed layers, which is faster for big ones.
    pub fn plain_image(&self, arch: &str, layers: &[Vec<u8>]) -> Value {
        let plain: Vec<Value> = layers
            .iter()
            .map(|layer| self.blob(OCI_LAYER, layer))
            .collect();
        self.manifest(arch, &plain, layers)
    }

    fn manifest(&self, arch: &str, blobs: &[Value], layers: &[Vec<u8>]) -> Value {
        let diff_ids: Vec<String> = layers.iter().map(|layer| sha256(layer)).collect();
        let config = json!({
            "architecture": arch,
            "os": "linux",
            "config": {"Cmd": ["/app"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self.blob(OCI_CONFIG, config.to_string().as_bytes()),
            "layers": blobs,
        });
        let mut descriptor = self.blob(OCI_MANIFEST, manifest.to_string().as_bytes());
        descriptor["platform"] = json!({"architecture": arch, "os": "linux"});
        descriptor
    }

    pub fn index(&self, images: &[Value]) -> Value {
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": images});
        self.blob(OCI_INDEX, index.to_string().as_bytes())
    }

    /// Tags a descriptor as the layout's only entry.
    pub fn tag(&self, name: &str, descriptor: &Value) {
        let mut tagged = descriptor.clone();
        tagged["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [tagged]});
        fs::write(self.root.join("index.json"), index.to_string()).unwrap();
    }
}

/// Returns the digest of a layout's only entry.
pub fn layout_digest(root: &Path) -> String {
    let index: Value = serde_json::from_slice(&fs::read(root.join("index.json")).unwrap()).unwrap();
    let manifests = index["manifests"].as_array().unwrap();
    assert_eq!(manifests.len(), 1, "{index}");
    manifests[0]["digest"].as_str().unwrap().to_owned()
}

/// Reads all blobs of an OCI image layout.
pub fn layout_content(root: &Path) -> Content {
    let blobs = fs::read_dir(root.join("blobs/sha256")).unwrap();
    blobs
        .map(|entry| {
            let entry = entry.unwrap();
            let hex = entry.file_name().into_string().unwrap();
            (format!("sha256:{hex}"), fs::read(entry.path()).unwrap())
        })
        .collect()
}

/// Compares contents by digest first, because a difference of megabytes is unreadable.
#[track_caller]
pub fn assert_same(left: &Content, right: &Content) {
    assert_eq!(
        left.keys().collect::<Vec<_>>(),
        right.keys().collect::<Vec<_>>()
    );
    assert!(left == right, "the same digests, but other bytes");
}
