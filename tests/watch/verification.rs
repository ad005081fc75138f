//! The server's own verification.

use std::fs;
use std::path::Path;

use super::Watched;
use super::metrics::value;
use crate::support::{Image, eventually, noise, sha256};

fn flip(data: &Path, content: &[u8]) {
    let digest = sha256(content);
    let hex = digest.trim_start_matches("sha256:");
    let path = data.join("blobs/sha256").join(&hex[..2]).join(hex);
    let mut flipped = content.to_vec();
    flipped[content.len() / 2] ^= 1;
    fs::remove_file(&path).expect("removed");
    fs::write(&path, flipped).expect("a file");
}

#[test]
fn the_server_finds_damage_by_itself_and_says_so() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let data = temporary.path().join("data");
    let server = Watched::at(&data, &[("REGISTRY_VERIFY_EVERY", "100ms")]);
    let (mut client, image) = (server.client(), Image::new("x", vec![noise(1, 3_000_000)]));
    image.push(&mut client, "app", "v1");
    let finished = "registry_verify_last_success_timestamp_seconds";
    eventually("a first run ends", || {
        let metrics = server.metrics();
        value(&metrics, finished).is_some()
            && value(&metrics, "registry_verify_blobs_total").is_some_and(|blobs| blobs >= 2.0)
    });
    assert_eq!(
        value(&server.metrics(), "registry_verify_findings"),
        Some(0.0)
    );
    let checks =
        |verbose: &str| server.client().get(verbose).json()["checks"]["verification"].clone();
    assert!(
        checks("/readyz?verbose")
            .as_str()
            .is_some_and(|text| text.ends_with("0 damaged"))
    );

    flip(&data, &image.layers[0]);
    let digest = sha256(&image.layers[0]);
    let blob = format!("/v2/app/blobs/{digest}");
    eventually("the damage is found", || client.get(&blob).status == 404);
    eventually("a run reports it", || {
        value(&server.metrics(), "registry_verify_findings") == Some(1.0)
    });
    let answer = client.get("/readyz?verbose");
    assert_eq!(
        answer.status, 200,
        "a damaged blob is no reason to send clients elsewhere"
    );
    assert!(
        checks("/readyz?verbose")
            .as_str()
            .is_some_and(|text| text.ends_with("1 damaged"))
    );
    let log = server.err();
    assert!(
        log.iter()
            .any(|line| line.contains("verification has found damage")
                && line.contains(&digest)
                && line.contains("app:v1")),
        "{log:?}"
    );
    image.push(&mut client, "app", "v1");
    image.assert_pulls(&mut client, "app", "v1");
    eventually("the next run finds nothing", || {
        value(&server.metrics(), "registry_verify_findings") == Some(0.0)
    });
}
