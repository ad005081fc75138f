//! Backups that the server makes by itself.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{assert_sound, files_below, other_disk, pull_everything};
use crate::support::{Image, Server, eventually, eventually_some};

/// Lists the complete backups, the oldest first.
fn backups(to: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(to).expect("a directory");
    let mut found: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            path.extension().is_none() && !path.ends_with("partial") && !path.is_symlink()
        })
        .collect();
    found.sort();
    found
}

#[test]
fn the_server_keeps_the_newest_backups_and_links_what_they_share() {
    let disk = other_disk();
    let to = disk.path().join("backups");
    fs::create_dir(&to).expect("a directory");
    let data = disk.path().join("data");
    let patient = Server::at(&data, &[]);
    Image::small(1).push(&mut patient.client(), "app", "v1");
    drop(patient);
    let server = Server::at(
        &data,
        &[
            ("REGISTRY_BACKUP_TO", to.to_str().expect("text")),
            ("REGISTRY_BACKUP_EVERY", "200ms"),
            ("REGISTRY_BACKUP_KEEP", "2"),
        ],
    );
    let first = eventually_some("a backup", || backups(&to).first().cloned());
    Image::small(2).push(&mut server.client(), "app", "v2");
    eventually("the first one is removed", || !first.exists());
    let newest = eventually_some("the image is in a backup", || {
        let newest = backups(&to).pop()?;
        (files_below(&newest.join("blobs")).len() == 4).then_some(newest)
    });
    drop(server);
    let kept = backups(&to);
    assert!((2..=3).contains(&kept.len()), "{kept:?}");
    assert_eq!(
        to.join("latest").canonicalize().expect("a link"),
        kept[kept.len() - 1]
    );
    for blob in files_below(&newest.join("blobs")) {
        let links = newest
            .join("blobs")
            .join(&blob)
            .metadata()
            .expect("a file")
            .nlink();
        assert!(links >= 2, "{}", blob.display());
    }
    assert_sound(&to.join("latest"));
    assert_eq!(pull_everything(&to.join("latest")), 2);
}
