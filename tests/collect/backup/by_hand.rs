//! A manual backup: the database first, then the blobs within the grace period, without a pause.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;

use super::{RULES, pull_everything, while_busy};
use crate::support::{Server, eventually};

/// Number of images that are pulled from copies.
const IMAGES: usize = 100;

#[test]
fn a_copy_serves_every_listed_image() {
    let server = Server::with(RULES);
    let (mut copies, mut listed, mut gone) = (0, 0, 0);
    while_busy(&server, || {
        // a database that never held anything is refused beside the blobs that came after it
        eventually("the first image", || {
            !server.client().get("/v2/_catalog").json()["repositories"]
                .as_array()
                .is_none_or(Vec::is_empty)
        });
        while listed < IMAGES {
            copies += 1;
            let copy = TempDir::new().expect("a directory");
            let database =
                Connection::open(server.directory().join("registry.db")).expect("the database");
            // one consistent snapshot beside writers, as `sqlite3 registry.db .backup` makes it
            database
                .execute(
                    "VACUUM INTO ?1",
                    [copy.path().join("registry.db").to_str().expect("text")],
                )
                .expect("a copy");
            gone += copy_directory(
                &server.directory().join("blobs"),
                &copy.path().join("blobs"),
            );
            listed += pull_everything(copy.path());
        }
    });
    println!("{copies} copies with {listed} images; {gone} files went while they were copied");
}

/// As `cp --recursive`; counts files that vanished before they were copied.
fn copy_directory(from: &Path, to: &Path) -> usize {
    fs::create_dir_all(to).expect("a directory");
    let mut gone = 0;
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            gone += copy_directory(&entry.path(), &target);
        } else {
            match fs::copy(entry.path(), target) {
                Err(error) if error.kind() == ErrorKind::NotFound => gone += 1,
                other => drop(other.expect("a copy")),
            }
        }
    }
    gone
}
