//! The server's own verification.

use std::fs;
use std::io::Write;
use std::path::Path;

use super::Watched;
use super::metrics::value;
use crate::support::{Image, Server, eventually, eventually_some, noise, sha256};

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

/// Progress of the server's run: its begin, the blobs that it has read, and its end.
fn progress(data: &Path) -> Option<(i64, u64, Option<i64>)> {
    let database = rusqlite::Connection::open(data.join("registry.db")).expect("the database");
    let run = "SELECT begun_at, blobs, finished_at FROM verifications WHERE runner = 'server'";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    database.query_row(run, [], read).ok()
}

#[test]
fn a_restarted_server_goes_on_where_it_was() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let data = temporary.path().join("data");
    let layers: Vec<_> = (0..40).map(|seed| noise(seed, 1 << 20)).collect();
    let mut server = Server::at(&data, &[("REGISTRY_VERIFY_ENABLED", "false")]);
    Image::new("large", layers).push(&mut server.client(), "app", "v1");
    server.kill();
    let server = Watched::at(&data, &[("REGISTRY_VERIFY_EVERY", "5s")]);
    // the run waits while requests use the disk
    let path = server.client().begin_upload("app");
    let mut held = server.client().connect();
    let part = format!("PATCH {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n1");
    held.write_all(part.as_bytes()).expect("a part of a chunk");
    let begun = eventually_some("some blobs are read", || {
        progress(&data).filter(|(_, blobs, end)| *blobs >= 3 && end.is_none())
    });
    drop(server);
    let _server = Watched::at(&data, &[("REGISTRY_VERIFY_EVERY", "5s")]);
    let end = eventually_some("the run ends", || {
        progress(&data).filter(|(.., end)| end.is_some())
    });
    assert_eq!(end.0, begun.0, "it was begun anew");
    assert_eq!(end.1, 41);
}
