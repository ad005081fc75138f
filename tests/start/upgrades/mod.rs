//! Data directories of earlier schemas, made by the binaries of their time (`make.py`), opened by this one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::{command, serve};
use crate::support::{Client, Image, Server, sha256};

/// Manifests that must still pull: digests by repository and tag.
type Expected = BTreeMap<String, BTreeMap<String, String>>;

/// Every archive, by the number of its schema.
fn archives() -> Vec<(i64, PathBuf)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/start/upgrades/data");
    let entries = directory.read_dir().expect("archives");
    let mut archives: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            let number = name.and_then(|name| name.split('-').next());
            (number.and_then(|n| n.parse().ok()).expect("a number"), path)
        })
        .collect();
    archives.sort();
    archives
}

/// Unpacks an archive, and reads what must still pull.
fn unpack(archive: &Path) -> (TempDir, Expected) {
    let directory = TempDir::new().expect("a directory");
    let mut tar = Command::new("tar");
    tar.arg("xzf").arg(archive).arg("-C").arg(directory.path());
    assert!(tar.status().expect("tar").success());
    let expected = directory.path().join("expected.json");
    let text = fs::read(&expected).expect("what must pull");
    fs::remove_file(expected).expect("no other file in the data directory");
    (directory, serde_json::from_slice(&text).expect("JSON"))
}

/// Version of the schema of a database.
fn version(path: &Path) -> i64 {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE);
    let database = database.expect("a database");
    let version = database.query_row("PRAGMA user_version", [], |row| row.get(0));
    version.expect("a version")
}

/// Copies that upgrades kept, by the version in their names.
fn copies(directory: &Path) -> Vec<(i64, PathBuf)> {
    let entries = directory.read_dir().expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?;
            let number = name.strip_prefix("registry.db.schema-")?.parse().ok()?;
            Some((number, path))
        })
        .collect()
}

fn assert_pulls(client: &mut Client, expected: &Expected, what: &str) {
    for (repository, tags) in expected {
        let listed = client.get(&format!("/v2/{repository}/tags/list")).json();
        let names: Vec<_> = tags.keys().map(String::as_str).collect();
        let mut found: Vec<_> = listed["tags"].as_array().expect("tags").iter().collect();
        found.sort_by_key(|tag| tag.as_str());
        assert_eq!(found, names, "{what}");
        for (tag, digest) in tags {
            let manifest = client.get(&format!("/v2/{repository}/manifests/{tag}"));
            assert_eq!(&sha256(&manifest.body), digest, "{what} {repository}:{tag}");
            let manifest = manifest.json();
            let layers = manifest["layers"].as_array().into_iter().flatten();
            let config = Some(&manifest["config"]).filter(|config| !config.is_null());
            for blob in layers.chain(config) {
                let digest = blob["digest"].as_str().expect("a digest");
                let blob = client.get(&format!("/v2/{repository}/blobs/{digest}"));
                assert_eq!(sha256(&blob.body), digest, "{what} {repository}:{tag}");
            }
        }
    }
    let signed = &expected["team/app"]["v2"];
    let referrers = client.get(&format!("/v2/team/app/referrers/{signed}"));
    let signature = &referrers.json()["manifests"][0]["digest"];
    assert_eq!(signature, &expected["team/app"]["signed"], "{what}");
}

/// Runs a command on the directory, which must succeed.
fn run(directory: &Path, words: &[&str]) -> String {
    let mut command = command(words);
    let output = command.arg("--data-dir").arg(directory).output();
    let output = output.expect("it runs");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {log}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn every_earlier_data_directory_opens_and_serves() {
    let archives = archives();
    assert!(!archives.is_empty());
    for (schema, archive) in archives {
        let what = archive.display().to_string();
        let (directory, expected) = unpack(&archive);
        let mut server = Server::at(directory.path(), &[]);
        assert_pulls(&mut server.client(), &expected, &what);
        Image::small(1).push(&mut server.client(), "team/new", "v1");
        run(directory.path(), &["verify"]);
        let known = version(&directory.path().join("registry.db"));
        for (number, copy) in copies(directory.path()) {
            assert_eq!((number, version(&copy)), (schema, schema), "{what}");
        }
        assert_eq!(
            copies(directory.path()).is_empty(),
            schema == known,
            "{what}"
        );
        let history = run(
            directory.path(),
            &["tag", "history", "team/app:latest", "-o", "json"],
        );
        assert!(
            history.contains(&expected["team/app"]["v1"]),
            "{what}: {history}"
        );
        assert!(server.stop().success(), "{what}");
    }
}

/// Kills servers at moments of their first start, which upgrade the database.
#[test]
fn an_upgrade_that_is_killed_is_repeated() {
    for (schema, archive) in archives().into_iter().step_by(3) {
        let (directory, expected) = unpack(&archive);
        let database = directory.path().join("registry.db");
        for milliseconds in [0, 1, 2, 3, 5, 8, 12, 18, 25, 35, 50, 80] {
            let (fresh, _) = unpack(&archive);
            let mut server = serve(fresh.path());
            let mut child = server.spawn().expect("it starts");
            // a moment like any other: nothing is waited for
            std::thread::sleep(Duration::from_millis(milliseconds));
            child.kill().expect("it is killed");
            child.wait().expect("it ends");
            let left = version(&fresh.path().join("registry.db"));
            let kept = copies(fresh.path());
            assert!(left == schema || kept.iter().all(|(number, _)| *number == schema));
            assert!(
                left == schema || !kept.is_empty(),
                "{left} without a way back"
            );
            let server = Server::at(fresh.path(), &[]);
            assert_pulls(&mut server.client(), &expected, "killed");
        }
        drop(database);
    }
}

/// The documented way back (docs/upgrade.md): the copy takes the place of the database.
#[test]
fn a_kept_copy_is_the_way_back() {
    let (schema, archive) = archives().remove(0);
    let (directory, expected) = unpack(&archive);
    let mut server = Server::at(directory.path(), &[]);
    Image::small(1).push(&mut server.client(), "team/new", "v1");
    server.stop();
    let database = directory.path().join("registry.db");
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(directory.path().join(format!("registry.db{suffix}")));
    }
    fs::rename(&copies(directory.path())[0].1, &database).expect("the way back");
    assert_eq!(version(&database), schema);
    // an older binary would serve it; this one upgrades it again
    let server = Server::at(directory.path(), &[]);
    assert_pulls(&mut server.client(), &expected, "back");
}
