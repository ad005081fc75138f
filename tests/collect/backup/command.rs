//! `registry backup DEST`.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use super::{RULES, assert_sound, cli_at, files_below, other_disk, pull_everything, while_busy};
use crate::support::{Image, Server, eventually};

/// Number of backups under load, unless `BACKUP_ROUNDS` says otherwise.
const ROUNDS: usize = 5;

/// Makes a backup and returns what it prints.
pub(super) fn back_up(server: &Server, to: &Path) -> Value {
    let to = to.to_str().expect("text");
    let output = server.cli(&["backup", to, "--output", "json"]);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn refused(server: &Server, to: &Path) -> String {
    let output = server.cli(&["backup", to.to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).expect("text")
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("a file").mode() & 0o777
}

#[test]
fn a_backup_is_a_private_data_directory_and_the_next_one_copies_what_is_new() {
    let server = Server::with(&[
        ("REGISTRY_GC_LEASE", "500ms"),
        ("REGISTRY_GC_GRACE", "500ms"),
        ("REGISTRY_GC_INTERVAL", "20ms"),
    ]);
    let client = &mut server.client();
    for seed in 0..3 {
        Image::small(seed).push_again(client, "app", &format!("v{seed}"));
    }
    client.begin_upload("app");
    let disk = other_disk();
    let to = disk.path().join("backup");
    let first = back_up(&server, &to);
    assert_eq!(
        (&first["blobCount"], &first["copiedCount"]),
        (&6.into(), &6.into())
    );
    assert_eq!(first["isSameDisk"], disk.path().starts_with("/tmp"));
    let files = files_below(&to);
    assert_eq!(files.len(), 7, "{files:?}");
    for file in &files {
        let expected = if file.starts_with("blobs") {
            0o400
        } else {
            0o600
        };
        assert_eq!(mode(&to.join(file)), expected, "{}", file.display());
    }
    for directory in ["", "blobs", "blobs/sha256", "uploads"] {
        assert_eq!(mode(&to.join(directory)), 0o700, "{directory}");
    }
    assert_sound(&to);
    assert_eq!(pull_everything(&to), 3);

    Image::small(3).push_again(client, "app", "v3");
    let deleted = Image::small(0);
    client.delete(&format!("/v2/app/manifests/{}", deleted.digest()));
    eventually("its files are gone", || server.blob_files().len() == 6);
    let second = back_up(&server, &to);
    assert_eq!(
        (&second["blobCount"], &second["copiedCount"]),
        (&6.into(), &2.into())
    );
    assert_sound(&to);
    assert_eq!(pull_everything(&to), 3);
    back_up(&server, &to);
    let blobs = files_below(&to.join("blobs"));
    assert_eq!(
        blobs.len(),
        6,
        "what nobody needs is not removed: {blobs:?}"
    );
}

#[test]
fn a_backup_on_the_same_disk_shares_its_space_and_is_said_to_be_none() {
    let server = Server::start();
    Image::small(1).push(&mut server.client(), "app", "v1");
    let to = server.directory().with_file_name("backup");
    let output = server.cli(&["backup", to.to_str().expect("text")]);
    let warning = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && warning.contains("is on the disk of"),
        "{output:?}"
    );
    for file in server.blob_files() {
        assert_eq!(file.metadata().expect("a file").nlink(), 2);
    }
    assert_sound(&to);
    assert_eq!(pull_everything(&to), 1);
}

#[test]
fn a_dry_run_changes_nothing() {
    let server = Server::start();
    Image::small(1).push(&mut server.client(), "app", "v1");
    let disk = other_disk();
    let to = disk.path().join("backup");
    let output = server.cli(&[
        "backup",
        to.to_str().expect("text"),
        "--dry-run",
        "-o",
        "json",
    ]);
    let plan: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&plan["blobCount"], &plan["newCount"]),
        (&2.into(), &2.into())
    );
    assert!(!to.exists());
}

#[test]
fn nothing_but_a_backup_is_replaced() {
    let server = Server::start();
    Image::small(1).push(&mut server.client(), "app", "v1");
    let disk = other_disk();
    let path = |name: &str| disk.path().join(name);
    fs::create_dir(path("other")).expect("a directory");
    fs::write(path("other/file"), "").expect("a file");
    assert!(refused(&server, &path("other")).contains("holds other files"));
    // blobs that lost their database are somebody's, too
    fs::create_dir_all(path("lost/blobs/sha256")).expect("a directory");
    assert!(refused(&server, &path("lost")).contains("holds other files"));
    let inside = server.directory().join("backup");
    assert!(refused(&server, &inside).contains("inside of the data directory"));
    assert!(refused(&server, server.directory()).contains("inside of the data directory"));
    assert!(refused(&server, &path("no/such/parent")).contains("failed"));

    let own = Server::at(&path("own"), &[]);
    assert!(refused(&server, &path("own")).contains("is no backup"));
    drop(own);

    // served, and then changed by a client
    let to = path("backup");
    back_up(&server, &to);
    let served = Server::at(&to, &[]);
    assert!(refused(&server, &to).contains("is in use"));
    drop(served);
    back_up(&server, &to);
    let mut served = Server::at(&to, &[]);
    Image::small(2).push(&mut served.client(), "app", "only-here");
    assert!(served.stop().success());
    assert!(refused(&server, &to).contains("was changed since"));
    assert_eq!(pull_everything(&to), 2);
}

/// One sentence names the disk and the remedy, wherever on the way it is found full.
#[test]
fn a_full_disk_is_named() {
    let directory = TempDir::new().expect("a directory");
    let disk = match crate::power_loss::disk::Disk::new(directory.path(), "full") {
        Ok(disk) => disk,
        Err(error) => {
            let reason = format!("root and loop mounts are required: {error}");
            return crate::support::announce_skipped("a backup to a full disk", &reason);
        }
    };
    let server = Server::start();
    Image::small(1).push(&mut server.client(), "app", "v1");
    let to = disk.path().join("backup");
    back_up(&server, &to);
    Image::small(2).push(&mut server.client(), "app", "v2");
    crate::collect::full_disk::fill(disk.path());
    for to in [&to, &disk.path().join("new")] {
        let said = refused(&server, to);
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(
            said.contains("is full") || said.contains("has") && said.contains("bytes free"),
            "{said}"
        );
        assert!(said.contains("free space there"), "{said}");
        assert!(!said.contains("must belong"), "{said}");
    }
    let serve = std::process::Command::new(env!("CARGO_BIN_EXE_registry"))
        .args(["serve", "--addr", "127.0.0.1:0", "--data-dir"])
        .arg(disk.path().join("data"))
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&serve.stderr);
    assert_eq!(serve.status.code(), Some(1), "{said}");
    assert!(said.contains("free space"), "{said}");
    fs::remove_file(disk.path().join("filler")).expect("the filler can be removed");
    assert_sound(&to);
    assert_eq!(pull_everything(&to), 1);
}

#[test]
fn one_backup_at_a_time() {
    let server = Server::start();
    let disk = other_disk();
    let to = disk.path().join("backup");
    back_up(&server, &to);
    let held = File::open(&to).expect("a directory");
    held.lock().expect("a lock");
    assert!(refused(&server, &to).contains("another backup to it is being made"));
    drop(held);
    back_up(&server, &to);
}

/// Collection leaves files alone while a backup holds them, and a backup waits for whoever removes some.
#[test]
fn files_are_not_removed_while_a_backup_copies_what_its_database_lists() {
    let server = Server::with(&[
        ("REGISTRY_GC_LEASE", "500ms"),
        ("REGISTRY_GC_GRACE", "500ms"),
        ("REGISTRY_GC_INTERVAL", "10ms"),
    ]);
    let client = &mut server.client();
    let image = Image::small(1);
    let digest = image.digest();
    image.push_again(client, "app", "v1");
    let names = File::open(server.directory().join("blobs/sha256")).expect("a directory");
    names.lock().expect("a lock");
    assert_eq!(
        client.delete(&format!("/v2/app/manifests/{digest}")).status,
        202
    );
    let database = Connection::open(server.directory().join("registry.db")).expect("the database");
    let removals = "SELECT count(*) FROM removals";
    eventually("its rows are collected", || {
        database.query_row(removals, [], |row| row.get(0)) == Ok(2)
    });
    for _ in 0..5 {
        assert!(server.cli(&["gc"]).status.success());
    }
    assert_eq!(
        server.blob_files().len(),
        2,
        "files that a backup needs are gone"
    );
    names.unlock().expect("unlocked");
    eventually("its files are removed", || server.blob_files().is_empty());

    names.lock_shared().expect("a lock");
    let disk = other_disk();
    let to = disk.path().join("backup");
    std::thread::scope(|scope| {
        let made = scope.spawn(|| back_up(&server, &to));
        eventually("the backup has begun", || {
            to.join("registry.db.partial").exists()
        });
        // a database would be there at once
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(!to.join("registry.db").exists());
        names.unlock().expect("unlocked");
        made.join().expect("a backup");
    });
    assert_sound(&to);
}

#[test]
fn every_image_that_a_backup_of_a_busy_server_lists_pulls() {
    let rounds =
        std::env::var("BACKUP_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let server = Server::with(RULES);
    let disk = other_disk();
    let (again, new) = (
        disk.path().join("again"),
        TempDir::new_in(disk.path()).expect("a directory"),
    );
    let mut images = 0;
    while_busy(&server, || {
        for round in 0..rounds {
            let once = new.path().join(round.to_string());
            for to in [&again, &once] {
                back_up(&server, to);
                assert_sound(to);
                images += pull_everything(to);
            }
            fs::remove_dir_all(once).expect("removed");
        }
    });
    println!("{rounds} rounds with {images} images");
    assert!(images > 0);
}

/// A backup of a backup is one as well: the way to try one without changing it.
#[test]
fn a_backup_can_be_backed_up() {
    let server = Server::start();
    Image::small(1).push(&mut server.client(), "app", "v1");
    let disk = other_disk();
    let (first, second) = (disk.path().join("first"), disk.path().join("second"));
    back_up(&server, &first);
    let output = cli_at(&first, &["backup", second.to_str().expect("text")]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(pull_everything(&second), 1);
    back_up(&server, &first);
}
