//! `registry verify`: every damaged piece is found, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Image, Server, noise, sha256};

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

#[test]
fn bit_rot_is_found_taken_out_and_healed_by_a_push() {
    let server = Server::start();
    let mut client = server.client();
    let images: Vec<_> = (0..30)
        .map(|seed| Image::new("x", vec![noise(seed, 3000), noise(seed + 100, 3000)]))
        .collect();
    for (number, image) in images.iter().enumerate() {
        image.push(&mut client, "app", &format!("v{number}"));
    }
    let (is_sound, printed) = verify(&server, &[]);
    assert!(is_sound, "{printed}");
    assert_eq!(printed["manifestCount"], 30);

    // one flipped bit in each of twenty, five cut, five gone
    for (number, image) in images.iter().enumerate() {
        let layer = &image.layers[0];
        let path = path_of(&server, &sha256(layer));
        match number {
            0..20 => {
                let mut flipped = layer.clone();
                flipped[number * 100] ^= 1 << (number % 8);
                replace(&path, &flipped);
            }
            20..25 => replace(&path, &layer[..number]),
            _ => fs::remove_file(&path).expect("removed"),
        }
    }
    let damaged: BTreeSet<_> = images
        .iter()
        .map(|image| sha256(&image.layers[0]))
        .collect();
    for flags in [&["--dry-run"][..], &[]] {
        let (is_sound, printed) = verify(&server, flags);
        assert!(!is_sound);
        assert_eq!(found(&printed, "blob"), damaged, "{flags:?}");
        assert_eq!(printed["findings"].as_array().map(Vec::len), Some(30));
        let named: BTreeSet<_> = printed["findings"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|finding| {
                finding["images"][0]["tags"][0]
                    .as_str()
                    .expect("a tag")
                    .to_owned()
            })
            .collect();
        assert_eq!(named.len(), 30, "{named:?}");
    }
    let (is_sound, printed) = verify(&server, &[]);
    assert!(
        is_sound,
        "what is not served any more is no damage: {printed}"
    );
    for (number, image) in images.iter().enumerate() {
        let blob = format!("/v2/app/blobs/{}", sha256(&image.layers[0]));
        client.get(&blob).refused(404, "BLOB_UNKNOWN");
        image.push(&mut client, "app", &format!("v{number}"));
        image.assert_pulls(&mut client, "app", &format!("v{number}"));
    }
    let (is_sound, printed) = verify(&server, &[]);
    assert!(is_sound, "{printed}");
    assert_eq!(printed["blobCount"], 30 * 2 + 1);
}

/// Statements that damage the database, with the kind and the name under which each is found.
fn alterations() -> Vec<(String, &'static str, String)> {
    let digest = |seed| Image::small(seed).digest();
    vec![
        (
            format!(
                "UPDATE manifest_bytes SET bytes = CAST('{{}}' AS BLOB) WHERE manifest_id = (SELECT id FROM manifests WHERE digest = '{}')",
                digest(0)
            ),
            "manifest",
            digest(0),
        ),
        (
            format!(
                "DELETE FROM manifest_bytes WHERE manifest_id = (SELECT id FROM manifests WHERE digest = '{}')",
                digest(1)
            ),
            "manifest",
            digest(1),
        ),
        (
            "UPDATE repositories SET manifests = 7".to_owned(),
            "count",
            "app".to_owned(),
        ),
        (
            format!(
                "UPDATE manifests SET holders = 3 WHERE digest = '{}'",
                digest(2)
            ),
            "count",
            digest(2),
        ),
        (
            "UPDATE blobs SET links = 9 WHERE id = 1".to_owned(),
            "count",
            "links of blob".to_owned(),
        ),
        (
            "UPDATE repository_blobs SET holders = 9 WHERE blob_id = 2".to_owned(),
            "count",
            "that need blob".to_owned(),
        ),
        (
            "UPDATE tags SET manifest_id = 999 WHERE name = 'v4'".to_owned(),
            "database",
            "a row of tags".to_owned(),
        ),
        (
            format!(
                "INSERT INTO absent_references VALUES (1, 'sha256:{}', (SELECT id FROM manifests WHERE digest = '{}'), 0)",
                "0".repeat(64),
                digest(3)
            ),
            "manifest",
            digest(3),
        ),
    ]
}

#[test]
fn an_altered_database_is_found() {
    let server = Server::start();
    let mut client = server.client();
    for seed in 0..5 {
        Image::small(seed).push(&mut client, "app", &format!("v{seed}"));
    }
    let database =
        rusqlite::Connection::open(server.directory().join("registry.db")).expect("the database");
    database
        .execute_batch("PRAGMA foreign_keys = OFF")
        .expect("off");
    for (sql, kind, name) in alterations() {
        database
            .execute_batch(&sql)
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        let (is_sound, printed) = verify(&server, &[]);
        let found = found(&printed, kind);
        assert!(
            !is_sound && found.iter().any(|found| found.contains(&name)),
            "{name} is not in {printed}"
        );
    }
    let (_, printed) = verify(&server, &[]);
    assert!(found(&printed, "blob").is_empty(), "{printed}");
    let output = server.cli(&["verify"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success() && text.contains("needed by app:v0"),
        "{text}"
    );
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
