//! Warnings that a server logs about itself: one line each, once.

use std::path::{Path, PathBuf};

use super::{Running, serve};
use crate::support::{Client, Mounted, announce_skipped, eventually, noise, sha256};

fn logged(environment: &[(&str, &str)], phrase: &str) -> usize {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let mut command = serve(temporary.path());
    command.envs(environment.iter().copied());
    let mut server = Running::start(command);
    server.terminate();
    server
        .end()
        .2
        .lines()
        .filter(|line| line.contains("WARN") && line.contains(phrase))
        .count()
}

#[test]
fn a_lease_too_short_for_pushes_is_warned_about() {
    let phrase = "pushes that take longer may fail";
    assert_eq!(
        logged(
            &[("REGISTRY_GC_LEASE", "0s"), ("REGISTRY_GC_GRACE", "0s")],
            phrase
        ),
        1
    );
    assert_eq!(
        logged(
            &[("REGISTRY_GC_LEASE", "59s"), ("REGISTRY_GC_GRACE", "1s")],
            phrase
        ),
        1
    );
    assert_eq!(
        logged(
            &[("REGISTRY_GC_LEASE", "1m"), ("REGISTRY_GC_GRACE", "0s")],
            phrase
        ),
        0
    );
    // content is kept for the longer of both times
    assert_eq!(logged(&[("REGISTRY_GC_LEASE", "0s")], phrase), 0);
    assert_eq!(
        logged(
            &[
                ("REGISTRY_GC_LEASE", "0s"),
                ("REGISTRY_GC_GRACE", "0s"),
                ("REGISTRY_GC_ENABLED", "false")
            ],
            phrase
        ),
        0
    );
    assert_eq!(logged(&[], phrase), 0);
}

fn file_of(directory: &Path, digest: &str) -> PathBuf {
    let hex = digest.strip_prefix("sha256:").expect("a digest");
    directory.join("blobs/sha256").join(&hex[..2]).join(hex)
}

/// Pushes an unneeded blob and waits until a pass has collected it.
fn await_pass(client: &mut Client, directory: &Path, seed: u64) {
    let file = file_of(directory, &client.push_blob("app", &noise(seed, 100)));
    eventually("the file is removed", || !file.exists());
}

#[test]
fn an_unremovable_file_is_logged_once_per_reason() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let mut command = serve(temporary.path());
    command.envs([
        ("REGISTRY_GC_LEASE", "500ms"),
        ("REGISTRY_GC_GRACE", "100ms"),
        ("REGISTRY_GC_INTERVAL", "10ms"),
    ]);
    let mut server = Running::start(command);
    let mut client = server.client();
    let content = noise(1, 1000);
    let file = file_of(temporary.path(), &client.push_blob("app", &content));
    let folder = file.parent().expect("a folder");
    let (Some(busy), Some(read_only)) = (Mounted::bind(&file), Mounted::read_only(folder)) else {
        return announce_skipped("a file that cannot be removed", "only root may mount");
    };
    (10..15).for_each(|seed| await_pass(&mut client, temporary.path(), seed));
    drop(read_only);
    (20..25).for_each(|seed| await_pass(&mut client, temporary.path(), seed));
    drop(busy);
    eventually("mended, it goes with the next pass", || !file.exists());
    // a link in a blob's place is removed, and not what it leads to
    let link = file_of(temporary.path(), &client.push_blob("app", &noise(2, 1000)));
    std::fs::remove_file(&link).expect("it is there");
    std::os::unix::fs::symlink(temporary.path(), &link).expect("a link");
    eventually("the link goes", || {
        std::fs::symlink_metadata(&link).is_err()
    });
    assert!(temporary.path().exists());
    server.terminate();
    let log = server.end().2;
    let digest = sha256(&content);
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("cannot remove blob file") && line.contains(&digest))
        .collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(
        lines[0].contains("Read-only file system") && lines[1].contains("busy"),
        "{lines:?}"
    );
}
