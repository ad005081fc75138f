//! A data directory that has lost its database is not begun anew.

use std::fs;
use std::path::Path;

use super::{command, sentence, serve};
use crate::support::{Image, Server, eventually, noise};

const WORDS: [&str; 3] = ["Restore it from a backup", "--data-dir", "move"];

/// Asserts that the server and the commands refuse the directory, and change nothing in it.
fn assert_refused(directory: &Path) {
    let before = fs::metadata(directory.join("registry.db")).map(|file| file.len());
    let with_directory = |words: &[&str]| {
        let mut command = command(words);
        command.arg("--data-dir").arg(directory);
        command
    };
    let mut check = command(&["config", "check"]);
    check.env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", directory);
    let commands = [
        serve(directory),
        with_directory(&["ls"]),
        with_directory(&["verify"]),
        with_directory(&["gc"]),
        check,
    ];
    for command in commands {
        let asked = format!("{command:?}");
        let message = sentence(command);
        for word in WORDS {
            assert!(
                message.contains(word),
                "'{word}' is not in: {message}{asked}"
            );
        }
    }
    let after = fs::metadata(directory.join("registry.db")).map(|file| file.len());
    assert_eq!(before.ok(), after.ok());
}

/// Moves the files of a database.
fn move_database(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for name in ["registry.db", "registry.db-wal", "registry.db-shm"] {
        let moved = fs::rename(from.join(name), to.join(name));
        assert!(moved.is_ok() || name != "registry.db", "{moved:?}");
    }
}

#[test]
fn a_lost_database_is_asked_for_and_comes_back() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let (directory, kept) = (temporary.path().join("data"), temporary.path().join("kept"));
    let image = Image::small(1);
    let mut server = Server::at(&directory, &[]);
    image.push(&mut server.client(), "app", "v1");
    server.stop();
    move_database(&directory, &kept);
    assert_refused(&directory);
    fs::write(directory.join("registry.db"), "").expect("a file");
    assert_refused(&directory);
    move_database(&kept, &directory);
    server.restart();
    image.assert_pulls(&mut server.client(), "app", "v1");
}

/// As a mount that is missing, or a database that was restored alone.
#[test]
fn blobs_that_are_lost_are_asked_for() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let (directory, kept) = (temporary.path().join("data"), temporary.path().join("kept"));
    let image = Image::small(1);
    let mut server = Server::at(&directory, &[]);
    image.push(&mut server.client(), "app", "v1");
    server.stop();
    let blobs = directory.join("blobs");
    fs::rename(&blobs, &kept).expect("moved");
    for is_there in [false, true] {
        if is_there {
            fs::create_dir(&blobs).expect("a directory");
        }
        let mut list = command(&["ls", "--data-dir"]);
        list.arg(&directory);
        for command in [serve(&directory), list] {
            let message = sentence(command);
            for word in [
                "blobs is missing or empty",
                "restore it from a backup",
                "--data-dir",
            ] {
                assert!(message.contains(word), "'{word}' is not in: {message}");
            }
        }
    }
    fs::remove_dir(&blobs).expect("nothing was put there");
    fs::rename(&kept, &blobs).expect("moved");
    server.restart();
    image.assert_pulls(&mut server.client(), "app", "v1");

    // a database that lists no blobs needs none
    let empty = temporary.path().join("empty");
    let mut server = Server::at(&empty, &[]);
    server.stop();
    fs::remove_dir_all(empty.join("blobs")).expect("removed");
    server.restart();
    image.push(&mut server.client(), "app", "v1");
}

/// As a database that another server began elsewhere, or that was restored from before the first push.
#[test]
fn a_database_that_never_held_anything_is_not_taken_for_that_of_the_blobs() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let (full, new) = (temporary.path().join("full"), temporary.path().join("new"));
    for (directory, is_used) in [(&full, true), (&new, false)] {
        let mut server = Server::at(directory, &[]);
        if is_used {
            Image::small(1).push(&mut server.client(), "app", "v1");
        }
        server.stop();
    }
    fs::remove_dir_all(new.join("blobs")).expect("removed");
    fs::rename(full.join("blobs"), new.join("blobs")).expect("moved");
    let message = sentence(serve(&new));
    assert!(message.contains(WORDS[0]), "{message}");
    fs::rename(new.join("blobs"), temporary.path().join("aside")).expect("moved");
    let server = Server::at(&new, &[]);
    Image::small(1).push(&mut server.client(), "app", "v1");
}

#[test]
fn a_registry_that_lost_everything_by_deletion_starts_beside_what_a_copy_left() {
    let mut server = Server::with(&[
        ("REGISTRY_GC_LEASE", "0s"),
        ("REGISTRY_GC_GRACE", "0s"),
        ("REGISTRY_GC_INTERVAL", "10ms"),
    ]);
    let mut client = server.client();
    let digest = client.push_blob("app", &noise(1, 100));
    eventually("the blob is collected", || server.blob_files().is_empty());
    let hex = digest.trim_start_matches("sha256:");
    let shard = server.directory().join("blobs/sha256").join(&hex[..2]);
    fs::create_dir_all(&shard).expect("a directory");
    fs::write(shard.join(hex), noise(1, 100)).expect("a file");
    server.kill();
    server.restart();
    assert_eq!(server.client().get("/v2/").status, 200);
}
