//! A failed start is explained in one sentence and harms nothing.

use std::path::Path;
use std::process::Command;

use super::{Running, command, sentence, serve};
use crate::support::announce_skipped;

/// Asserts that serving this directory is refused with a sentence that contains these words.
fn refused(directory: &Path, words: &[&str]) {
    let message = sentence(serve(directory));
    for word in words {
        assert!(message.contains(word), "'{word}' is not in: {message}");
    }
}

fn at(address: &str, directory: &Path) -> Command {
    let mut command = command(&["serve", "--addr", address, "--data-dir"]);
    command.arg(directory);
    command
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let mut names: Vec<_> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .collect();
    names.sort();
    names
}

#[test]
fn a_port_in_use() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let message = sentence(at(&address, temporary.path()));
    assert!(
        message.contains(&address) && message.contains("--addr"),
        "{message}"
    );
}

#[test]
fn invalid_addresses() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    for address in [
        "",
        "5000",
        "127.0.0.1",
        ":99999",
        "127.0.0.1:port",
        "256.0.0.1:5000",
        "192.0.2.1:5000",
    ] {
        let message = sentence(at(address, temporary.path()));
        assert!(
            message.contains(address)
                && (message.contains("HOST:PORT") || message.contains("--addr")),
            "{message}"
        );
    }
}

#[test]
fn unusable_directories() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let file = temporary.path().join("file");
    std::fs::write(&file, "a file").expect("a file");
    for directory in [
        &file,
        &file.join("below"),
        Path::new("/proc/registry"),
        Path::new("/dev/null/registry"),
    ] {
        refused(directory, &[&directory.display().to_string(), "--data-dir"]);
    }
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), "a file");
    std::fs::create_dir(temporary.path().join("registry.db"))
        .expect("a directory in the database's place");
    refused(temporary.path(), &["registry.db"]);
}

/// FUSE with `direct_io`: several processes cannot share the index of the database's log there.
#[test]
fn a_file_system_that_maps_no_files() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let path = |name: &str| temporary.path().join(name);
    for directory in ["below", "mount"] {
        std::fs::create_dir(path(directory)).expect("a directory");
    }
    let mut mount = Command::new("bindfs");
    mount
        .args(["-o", "direct_io"])
        .args([path("below"), path("mount")]);
    if !mount.status().is_ok_and(|status| status.success()) {
        return announce_skipped(
            "a file system that maps no files",
            "root, /dev/fuse and bindfs are required",
        );
    }
    let message = sentence(serve(&path("mount/data")));
    let unmounted = Command::new("umount").arg(path("mount")).status();
    assert!(unmounted.expect("umount").success());
    assert!(
        message.contains("direct_io") && message.contains("--data-dir"),
        "{message}"
    );
}

#[test]
fn foreign_files_in_place_of_the_database() {
    for content in [
        "too short",
        &"text that is long enough to be taken for a database. ".repeat(100),
    ] {
        let temporary = tempfile::TempDir::new().expect("a directory");
        let file = temporary.path().join("registry.db");
        std::fs::write(&file, content).expect("a file");
        refused(
            temporary.path(),
            &["registry.db", "--data-dir", "restore a backup"],
        );
        assert_eq!(std::fs::read_to_string(&file).expect("the file"), content);
        assert_eq!(
            names(temporary.path()),
            ["registry.db"],
            "a refused start left something behind"
        );
    }
}

#[test]
fn foreign_databases() {
    for setup in [
        "CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)",
        "PRAGMA journal_mode = WAL; CREATE TABLE theirs (x)",
        "PRAGMA application_id = 7",
    ] {
        let temporary = tempfile::TempDir::new().expect("a directory");
        let file = temporary.path().join("registry.db");
        rusqlite::Connection::open(&file)
            .expect("a database")
            .execute_batch(setup)
            .expect("a table");
        let before = std::fs::read(&file).expect("bytes");
        refused(temporary.path(), &["registry.db", "--data-dir"]);
        assert!(
            std::fs::read(&file).expect("bytes") == before,
            "{setup}: the file was changed"
        );
        assert_eq!(
            names(temporary.path()),
            ["registry.db"],
            "a refused start left something behind"
        );
    }
}

#[test]
fn a_database_of_a_newer_version() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    super::stop_gracefully(Running::start(serve(temporary.path())));
    let database =
        rusqlite::Connection::open(temporary.path().join("registry.db")).expect("the database");
    database
        .pragma_update(None, "user_version", 4711)
        .expect("a version");
    drop(database);
    refused(temporary.path(), &["newer", "4711"]);
    let database =
        rusqlite::Connection::open(temporary.path().join("registry.db")).expect("the database");
    let version: i64 = database
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .expect("a version");
    assert_eq!(version, 4711);
}
