//! Copies of a data directory from which every listed image pulls.

mod by_hand;
mod command;
mod damaged;
mod interrupted;
mod links;
mod periodic;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use crate::support::{Client, Image, Server, noise, sha256};

/// Longer than a copy takes, yet short enough for much collection during the test.
const RULES: &[(&str, &str)] = &[
    ("REGISTRY_GC_LEASE", "2s"),
    ("REGISTRY_GC_GRACE", "2s"),
    ("REGISTRY_GC_KEEPUNTAGGED", "2s"),
    ("REGISTRY_GC_INTERVAL", "20ms"),
];

/// Runs `work` beside pushes, deletes and collection.
fn while_busy(server: &Server, work: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stops = Stops(&stop);
        for worker in 0..3 {
            let stop = &stop;
            scope.spawn(move || churn(&mut server.client(), worker, stop));
        }
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                assert!(server.cli(&["gc", "--online"]).status.success());
            }
        });
        work();
    });
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
        image.push_again(client, &repository, &format!("v{}", seed % 10));
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

/// Starts a server on the copy, without collection, and pulls everything listed.
fn pull_everything(copy: &Path) -> usize {
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

/// A directory on another disk than the data directories of tests, or at least another directory.
fn other_disk() -> TempDir {
    TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().expect("a directory"))
}

/// Runs a command on a directory without a server.
fn cli_at(directory: &Path, arguments: &[&str]) -> std::process::Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_registry"))
        .args(arguments)
        .arg("--data-dir")
        .arg(directory)
        .output()
        .expect("the command runs")
}

/// Checks that a backup has no damage.
fn assert_sound(directory: &Path) {
    let verified = cli_at(directory, &["verify"]);
    assert!(verified.status.success(), "{verified:?}");
}

/// Lists all files below a directory, relative to it.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(directory).expect("below").to_owned());
            }
        }
    }
    found.sort();
    found
}
