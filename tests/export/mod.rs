//! `registry export`: image layouts that are whole, or nothing.

mod damaged;
mod destinations;
mod held;
mod interrupted;
mod layout;
mod round_trip;
mod since;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::{Client, Image, OCI_INDEX, OCI_MANIFEST, Server, descriptor, noise, sha256};

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const IMAGE_NAME: &str = "io.containerd.image.name";
const OWN_NAME: &str = "io.tarkeep.name";

/// Files of a layout by name.
type Files = BTreeMap<String, Vec<u8>>;

/// Manifests that were pushed with [`push_everything`], by what they are.
struct Pushed {
    index: String,
    children: Vec<String>,
    signature: String,
    of_signature: String,
    tagged: String,
}

/// Pushes `team/app:v1`: an index of two images, a referrer, a referrer of that, and a signature tag of one of the images.
fn push_everything(client: &mut Client) -> Pushed {
    let shared = noise(1, 50_000);
    let images = [
        Image::new("one", vec![shared.clone()]),
        Image::new("two", vec![shared, noise(2, 70_000)]),
    ];
    let mut described = Vec::new();
    for (image, architecture) in images.iter().zip(["amd64", "arm64"]) {
        image.push(client, "team/app", &image.digest());
        let mut child = descriptor(OCI_MANIFEST, &image.manifest);
        child["platform"] = json!({ "os": "linux", "architecture": architecture });
        described.push(child);
    }
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": described });
    let index = index.to_string().into_bytes();
    put(client, "team/app", "v1", OCI_INDEX, &index);
    let signature = referrer("signature", &descriptor(OCI_INDEX, &index));
    let of_signature = referrer("of signature", &descriptor(OCI_MANIFEST, &signature));
    client.push_blob("team/app", b"{}");
    for referrer in [&signature, &of_signature] {
        put(
            client,
            "team/app",
            &sha256(referrer),
            OCI_MANIFEST,
            referrer,
        );
    }
    let tagged = Image::small(7);
    let tag = format!("{}.sig", images[0].digest().replace(':', "-"));
    tagged.push(client, "team/app", &tag);
    Pushed {
        index: sha256(&index),
        children: images.iter().map(Image::digest).collect(),
        signature: sha256(&signature),
        of_signature: sha256(&of_signature),
        tagged: tagged.digest(),
    }
}

fn put(client: &mut Client, repository: &str, reference: &str, media_type: &str, content: &[u8]) {
    let response = client.put_manifest(repository, reference, media_type, content);
    assert_eq!(response.status, 201, "{response:?}");
}

fn referrer(name: &str, subject: &Value) -> Vec<u8> {
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.test.signature",
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"), "layers": [],
        "subject": subject, "annotations": { "name": name },
    });
    manifest.to_string().into_bytes()
}

/// Exports and asserts that it succeeds.
#[track_caller]
fn export(server: &Server, arguments: &[&str]) -> Output {
    let output = server.cli(&[&["export"], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    output
}

/// The one line with which an export is refused.
#[track_caller]
fn refusal(server: &Server, arguments: &[&str]) -> String {
    let output = server.cli(&[&["export"], arguments].concat());
    let message = String::from_utf8(output.stderr).expect("text");
    assert_eq!(
        (output.status.code(), message.lines().count()),
        (Some(1), 1),
        "{message}"
    );
    message
}

/// Reads the files of a layout in a directory.
fn files_in(root: &Path) -> Files {
    let mut files = Files::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(root)
                    .expect("below")
                    .display()
                    .to_string();
                files.insert(name, fs::read(path).expect("a file"));
            }
        }
    }
    files
}

/// Unpacks an archive over a directory with GNU tar.
fn unpack(archive: &[u8], root: &Path) {
    let path = root.with_extension("unpacked.tar");
    fs::write(&path, archive).expect("a file");
    fs::create_dir_all(root).expect("a directory");
    let mut tar = Command::new("tar");
    let output = tar.arg("-xf").arg(&path).arg("-C").arg(root).output();
    let output = output.expect("tar runs");
    assert!(output.status.success(), "{output:?}");
    fs::remove_file(path).expect("removed");
}

/// Reads the files of an archive.
fn files_of(archive: &[u8]) -> Files {
    let directory = tempfile::tempdir().expect("a directory");
    let root = directory.path().join("layout");
    unpack(archive, &root);
    files_in(&root)
}

/// Asserts that each file below `blobs/` is what its name says, and everything that is named is there.
#[track_caller]
fn assert_whole(files: &Files) {
    assert_eq!(files["oci-layout"], br#"{"imageLayoutVersion":"1.0.0"}"#);
    let mut wanted: Vec<String> = digests(&index_of(files)["manifests"]);
    while let Some(digest) = wanted.pop() {
        let name = format!("blobs/{}", digest.replace(':', "/"));
        let content = files
            .get(&name)
            .unwrap_or_else(|| panic!("{digest} is missing"));
        assert_eq!(sha256(content), digest);
        if let Ok(manifest) = serde_json::from_slice::<Value>(content) {
            for key in ["manifests", "layers"] {
                wanted.extend(digests(&manifest[key]));
            }
            wanted.extend(manifest["config"]["digest"].as_str().map(str::to_owned));
        }
    }
}

fn digests(descriptors: &Value) -> Vec<String> {
    let list = descriptors.as_array().into_iter().flatten();
    list.filter_map(|one| one["digest"].as_str().map(str::to_owned))
        .collect()
}

fn index_of(files: &Files) -> Value {
    serde_json::from_slice(&files["index.json"]).expect("JSON")
}

/// Names of the content below `blobs/`, as digests.
fn content_of(files: &Files) -> Vec<String> {
    let names = files.keys().filter_map(|name| name.strip_prefix("blobs/"));
    names.map(|name| name.replace('/', ":")).collect()
}

/// Path of a blob in a server's data directory.
fn blob_file(server: &Server, digest: &str) -> std::path::PathBuf {
    let hex = digest.strip_prefix("sha256:").expect("a digest");
    let path = format!("blobs/sha256/{}/{hex}", &hex[..2]);
    server.directory().join(path)
}
