//! Backups of a registry with damaged content.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::command::back_up;
use super::{assert_sound, cli_at, other_disk, pull_everything};
use crate::support::{Image, Server, noise, sha256};

fn file_of(directory: &Path, content: &[u8]) -> PathBuf {
    let digest = sha256(content);
    let hex = digest.trim_start_matches("sha256:");
    directory.join(format!("blobs/sha256/{}/{hex}", &hex[..2]))
}

/// Makes a backup that is complete but for what is damaged; returns the list of that.
fn incomplete(server: &Server, to: &Path) -> Vec<Value> {
    let output = server.cli(&["backup", to.to_str().expect("text"), "-o", "json"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("registry verify names"), "{said}");
    let made: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    made["damaged"].as_array().expect("a list").clone()
}

/// Changes a bit of a file in its place: whatever shares it is changed too.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("a file");
    bytes[1] ^= 1;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("ours");
    fs::write(path, bytes).expect("a file");
}

/// Has the server find damage, and stop serving it.
fn withdraw(server: &Server) {
    let verified = server.cli(&["verify"]);
    assert_eq!(verified.status.code(), Some(1), "{verified:?}");
}

/// The rest is in it, a sound copy of the backup before stays, and a push heals what is missing.
#[test]
fn damaged_blobs_are_named_and_do_not_prevent_a_backup() {
    let server = Server::start();
    let client = &mut server.client();
    let image = |seed| Image::new("x", vec![noise(seed, 3000)]);
    let path = |seed| file_of(server.directory(), &image(seed).layers[0]);
    image(1).push(client, "app", "kept");
    let disk = other_disk();
    let to = disk.path().join("backup");
    back_up(&server, &to);
    for seed in [2, 3] {
        image(seed).push(client, "app", &format!("v{seed}"));
    }
    for (seed, content) in [(1, noise(9, 3000)), (2, noise(9, 3000)), (3, noise(9, 10))] {
        fs::remove_file(path(seed)).expect("removed");
        fs::write(path(seed), content).expect("a file");
    }
    let output = server.cli(&["backup", to.to_str().expect("text"), "-o", "json"]);
    let made: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let named: Vec<_> = made["damaged"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|blob| blob["digest"].as_str().expect("a digest").to_owned())
        .collect();
    let expected = [2, 3].map(|seed| sha256(&image(seed).layers[0]));
    let is_same_disk = made["isSameDisk"] == true;
    // what is linked is not read
    assert!(
        is_same_disk || (output.status.code() == Some(3) && named == expected),
        "{made}"
    );
    let served = Server::at(&to, &[]);
    let client = &mut served.client();
    image(1).assert_pulls(client, "app", "kept");
    for seed in [2, 3] {
        let tag = format!("v{seed}");
        image(seed).push(client, "app", &tag);
        image(seed).assert_pulls(client, "app", &tag);
    }
    assert_sound(&to);
}

/// A copy may be all that is left of a blob: it stays until the blob is back, and can be restored.
#[test]
fn a_sound_copy_of_what_is_damaged_now_stays_in_the_backup() {
    let server = Server::start();
    let image = Image::new("x", vec![noise(1, 3000), noise(2, 3000)]);
    image.push(&mut server.client(), "app", "v1");
    let disk = other_disk();
    let to = disk.path().join("backup");
    back_up(&server, &to);
    let layer = &image.layers[0];
    let damaged = file_of(server.directory(), layer);
    let bytes = fs::read(&damaged).expect("a file");
    // its own file: those of a backup on the same disk are links
    fs::remove_file(&damaged).expect("removed");
    fs::write(&damaged, bytes).expect("a file");
    flip(&damaged);
    withdraw(&server);

    for round in 0..2 {
        let named = incomplete(&server, &to);
        assert_eq!(named.len(), 1, "{named:?}");
        assert_eq!(named[0]["digest"], sha256(layer));
        assert_eq!(
            (&named[0]["kind"], &named[0]["isKept"]),
            (&"blob".into(), &true.into())
        );
        let problem = named[0]["problem"].as_str().expect("text");
        assert!(
            problem.contains("the file has digest"),
            "{round}: {problem}"
        );
        let copy = fs::read(file_of(&to, layer)).expect("the copy is still there");
        assert_eq!(sha256(&copy), sha256(layer), "{round}");
    }
    let restored = disk.path().join("restored");
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([&to, &restored])
        .status();
    assert!(copied.expect("cp").success());
    // names what was damaged, and heals it
    cli_at(&restored, &["verify", "--repair"]);
    assert_sound(&restored);
    assert_eq!(pull_everything(&restored), 1);

    image.push(&mut server.client(), "app", "v1");
    let healed = back_up(&server, &to);
    assert_eq!(healed["damaged"], serde_json::json!([]));
    assert_sound(&to);
    assert_eq!(pull_everything(&to), 1);
}

/// Name and length say nothing: the files of this backup are links, which are damaged with those of the server.
#[test]
fn a_damaged_copy_is_replaced_once_the_blob_is_healed() {
    let server = Server::start();
    let image = Image::new("x", vec![noise(1, 3000), noise(2, 3000)]);
    image.push(&mut server.client(), "app", "v1");
    let to = server.directory().with_file_name("backup");
    back_up(&server, &to);
    let files = [0, 1].map(|layer| file_of(server.directory(), &image.layers[layer]));

    // found, and taken out of the database
    flip(&files[0]);
    withdraw(&server);
    let named = incomplete(&server, &to);
    assert_eq!(named[0]["isKept"], false, "its copy is damaged too");
    image.push(&mut server.client(), "app", "v1");
    back_up(&server, &to);
    assert_sound(&to);

    // pushed again before anybody found it: the row stays
    flip(&files[1]);
    fs::remove_file(&files[1]).expect("removed");
    image.push(&mut server.client(), "app", "v1");
    back_up(&server, &to);
    assert_sound(&to);
    assert_eq!(pull_everything(&to), 1);
}

/// The bytes of a manifest are in the database.
#[test]
fn a_damaged_manifest_is_named() {
    let server = Server::start();
    let image = Image::small(1);
    image.push(&mut server.client(), "app", "v1");
    let database =
        rusqlite::Connection::open(server.directory().join("registry.db")).expect("the database");
    database
        .execute("UPDATE manifest_bytes SET bytes = CAST('{}' AS BLOB)", [])
        .expect("changed");
    drop(database);
    withdraw(&server);
    let disk = other_disk();
    let named = incomplete(&server, &disk.path().join("backup"));
    assert_eq!(named.len(), 1, "{named:?}");
    assert_eq!(named[0]["kind"], "manifest");
    assert_eq!(named[0]["digest"], image.digest());
}
