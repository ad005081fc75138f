//! `registry verify`: every damaged piece is found, and nothing else.

mod blobs;
mod database;
mod incomplete;
mod repair;
mod resuming;
mod shown;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Image, Server, noise};

fn verify(server: &Server, flags: &[&str]) -> (bool, Value) {
    let output = server.cli(&[&["verify", "--output", "json"], flags].concat());
    let printed = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.success(), printed)
}

fn path_of(server: &Server, digest: &str) -> PathBuf {
    let (algorithm, hex) = digest.split_once(':').expect("a digest");
    server
        .directory()
        .join("blobs")
        .join(algorithm)
        .join(&hex[..2])
        .join(hex)
}

/// Replaces a file, which is read-only.
fn replace(path: &Path, content: &[u8]) {
    fs::remove_file(path).expect("removed");
    fs::write(path, content).expect("a file");
}

fn found(printed: &Value, kind: &str) -> BTreeSet<String> {
    let findings = printed["findings"].as_array().expect("a list").iter();
    findings
        .filter(|finding| finding["kind"] == kind)
        .map(|finding| {
            let name = finding["digest"].as_str().or(finding["problem"].as_str());
            name.expect("text").to_owned()
        })
        .collect()
}

/// Content comes and goes meanwhile, and none of that is damage.
#[test]
fn a_busy_registry_is_not_taken_for_a_damaged_one() {
    let server = Server::with(&super::FAST);
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for worker in 0..2_u64 {
            let (server, is_done) = (&server, &is_done);
            scope.spawn(move || {
                let mut client = server.client();
                let mut seed = worker * 1000;
                while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                    seed += 1;
                    let content = noise(seed, 3000);
                    client.push_blob("app", &content);
                    let tag = format!("{worker}-{}", seed % 5);
                    let image = Image::small(seed);
                    for blob in image.layers.iter().chain([&image.config]) {
                        client.push_blob("app", blob);
                    }
                    // its blobs may be collected already
                    client.put_manifest("app", &tag, crate::support::OCI_MANIFEST, &image.manifest);
                    client.delete(&format!("/v2/app/manifests/{}", image.digest()));
                }
            });
        }
        for _ in 0..20 {
            let (is_sound, printed) = verify(&server, &[]);
            assert!(is_sound, "{printed}");
        }
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
