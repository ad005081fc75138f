//! A manual backup: the database first, then the blobs within the grace period, without a pause.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::{Client, Image, Server, noise, sha256};

/// Number of images that are pulled from copies.
const IMAGES: usize = 100;
/// Longer than a copy takes, yet short enough for much collection during the test.
const RULES: &[(&str, &str)] = &[
    ("REGISTRY_GC_LEASE", "2s"),
    ("REGISTRY_GC_GRACE", "2s"),
    ("REGISTRY_GC_KEEPUNTAGGED", "2s"),
    ("REGISTRY_GC_INTERVAL", "20ms"),
];

#[test]
fn a_copy_serves_every_listed_image() {
    let server = Server::with(RULES);
    let stop = AtomicBool::new(false);
    let (mut copies, mut listed, mut gone) = (0, 0, 0);
    std::thread::scope(|scope| {
        let _stops = Stops(&stop);
        for worker in 0..3 {
            let (stop, server) = (&stop, &server);
            scope.spawn(move || churn(&mut server.client(), worker, stop));
        }
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                assert!(server.cli(&["gc", "--online"]).status.success());
            }
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
            listed += check(copy.path());
        }
    });
    println!("{copies} copies with {listed} images; {gone} files went while they were copied");
}

struct Stops<'s>(&'s AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Pushes images, moves tags and removes them.
fn churn(client: &mut Client, worker: u64, stop: &AtomicBool) {
    let repository = format!("app-{worker}");
    for seed in (0..).take_while(|_| !stop.load(Ordering::Relaxed)) {
        let image = Image::new(
            &format!("{worker} {seed}"),
            vec![noise(seed % 5, 3000), noise(1000 * worker + seed, 500)],
        );
        image.push(client, &repository, &format!("v{}", seed % 10));
        if seed % 4 == 3 {
            let digest = Image::new(
                &format!("{worker} {}", seed - 1),
                vec![
                    noise((seed - 1) % 5, 3000),
                    noise(1000 * worker + seed - 1, 500),
                ],
            )
            .digest();
            assert_eq!(
                client
                    .delete(&format!("/v2/{repository}/manifests/{digest}"))
                    .status,
                202
            );
        }
    }
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

/// Starts a server on the copy, without collection, and pulls everything listed.
fn check(copy: &Path) -> usize {
    let server = Server::at(copy, &[]);
    let client = &mut server.client();
    let mut images = 0;
    for repository in client.get("/v2/_catalog").json()["repositories"]
        .as_array()
        .expect("a list")
    {
        let repository = repository.as_str().expect("a name");
        for tag in client.get(&format!("/v2/{repository}/tags/list")).json()["tags"]
            .as_array()
            .expect("a list")
        {
            let manifest = client
                .get(&format!(
                    "/v2/{repository}/manifests/{}",
                    tag.as_str().expect("a name")
                ))
                .json();
            let blobs = manifest["layers"]
                .as_array()
                .expect("layers")
                .iter()
                .chain([&manifest["config"]]);
            for digest in blobs.map(|blob| blob["digest"].as_str().expect("a digest")) {
                let blob = client.get(&format!("/v2/{repository}/blobs/{digest}"));
                assert_eq!(
                    (blob.status, sha256(&blob.body).as_str()),
                    (200, digest),
                    "{repository}:{tag} of the copy"
                );
            }
            images += 1;
        }
    }
    images
}
