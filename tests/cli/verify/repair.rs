//! Files that the database does not know.

use std::fs;

use serde_json::json;

use super::super::with_fast_collection;
use super::{path_of, replace, verify};
use crate::support::{Image, Server, eventually, noise, sha256};

/// Puts a file in the place of a blob that nobody pushed.
fn put_file(server: &Server, digest: &str, content: &[u8]) {
    let path = path_of(server, digest);
    fs::create_dir_all(path.parent().expect("a shard")).expect("a directory");
    fs::write(path, content).expect("a file");
}

#[test]
fn files_without_a_row_are_no_damage_and_go_with_repair() {
    let (_directory, server) = with_fast_collection(&[], |client| {
        Image::small(1).push(client, "app", "v1");
    });
    let (sound, other) = (noise(10, 1000), noise(2, 500));
    put_file(&server, &sha256(&sound), &sound);
    put_file(&server, &sha256(&other), b"not what its name says");
    let foreign = server.directory().join("blobs/sha256/00");
    fs::create_dir_all(&foreign).expect("a directory");
    fs::write(foreign.join("notes.txt"), "the owner's").expect("a file");
    for _ in 0..2 {
        let (is_sound, printed) = verify(&server, &[]);
        assert!(is_sound, "{printed}");
        assert_eq!(
            (&printed["unknownFileCount"], &printed["unknownFileSize"]),
            (&json!(2), &json!(1022))
        );
    }
    let output = server.cli(&["verify"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("2 files") && text.contains("--repair"),
        "{text}"
    );
    let (is_sound, printed) = verify(&server, &["--repair"]);
    assert!(is_sound, "{printed}");
    eventually("collection removes them", || {
        !path_of(&server, &sha256(&sound)).exists() && !path_of(&server, &sha256(&other)).exists()
    });
    assert!(foreign.join("notes.txt").exists());
    std::os::unix::fs::symlink("notes.txt", foreign.join("0".repeat(64))).expect("a link");
    fs::write(server.directory().join("blobs/sha256/stray"), "").expect("a file");
    let (is_sound, printed) = verify(&server, &[]);
    assert!(is_sound, "{printed}");
    assert_eq!(printed["unknownFileCount"], 0);
    let mut named = printed["foreignFiles"].as_array().expect("a list").clone();
    named.sort_by_key(ToString::to_string);
    let link = format!("blobs/sha256/00/{}", "0".repeat(64));
    assert_eq!(
        json!(named),
        json!([link, "blobs/sha256/00/notes.txt", "blobs/sha256/stray"])
    );
    let output = server.cli(&["verify"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("blobs/sha256/stray is no blob"), "{text}");
}

/// Collection removes it, and it belongs to no import.
#[test]
fn a_file_that_repair_has_recorded_is_no_damage_of_a_later_import() {
    let server = Server::start();
    let image = Image::small(1);
    Image::small(2).push(&mut server.client(), "other", "v1");
    put_file(&server, &sha256(b"another"), b"not what its name says");
    let (is_sound, printed) = verify(&server, &["--repair"]);
    assert!(is_sound, "{printed}");
    let source = tempfile::tempdir().expect("a directory");
    crate::import::Store::new(source.path()).image("app", "v1", &image);
    let source = source.path().to_str().expect("text");
    for _ in 0..2 {
        let output = server.cli(&["import", source, "--output", "json"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    image.assert_pulls(&mut server.client(), "app", "v1");
}

/// They stay for the grace period, and a push in between makes them its own.
#[test]
fn a_file_that_the_owner_restores_heals_its_images() {
    let server = Server::start();
    let (mut client, image) = (server.client(), Image::small(1));
    image.push(&mut client, "app", "v1");
    let digest = sha256(&image.layers[0]);
    replace(&path_of(&server, &digest), b"x");
    assert!(!verify(&server, &[]).0);
    // collection removes the damaged file, which only its note delays
    let output = server.cli(&["gc"]);
    assert!(output.status.success(), "{output:?}");
    assert!(!path_of(&server, &digest).exists());
    put_file(&server, &digest, &image.layers[0]);
    let (is_sound, printed) = verify(&server, &["--repair"]);
    assert!(!is_sound, "{printed}");
    image.assert_pulls(&mut client, "app", "v1");
    let (is_sound, printed) = verify(&server, &[]);
    assert!(is_sound, "{printed}");
}
