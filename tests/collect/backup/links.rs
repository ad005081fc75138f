//! Links in a backup: whoever it belongs to leads nobody's command to files elsewhere.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{assert_sound, other_disk, pull_everything};
use crate::collect::file_systems::EXFAT;
use crate::power_loss::disk::Disk;
use crate::support::{Image, Server, announce_skipped, sha256};

/// Owner of the data directory, whom root's backups are given to.
const OWNER: u32 = 12_345;

/// A file in a directory, which nobody but this test may change.
struct Victim(TempDir);

impl Victim {
    fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        fs::write(directory.path().join("file"), "precious").expect("a file");
        Self(directory)
    }

    fn assert_unharmed(&self, what: &str) {
        let path = self.0.path();
        let names = fs::read_dir(path).expect("a directory");
        let names = names.map(|entry| entry.expect("an entry").file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["file"], "{what}");
        let content = fs::read_to_string(path.join("file")).expect("a file");
        assert_eq!(content, "precious", "{what}");
        let own = rustix::process::getuid().as_raw();
        for path in [path, &path.join("file")] {
            let owner = path.metadata().expect("a file").uid();
            assert_eq!(owner, own, "{what}");
        }
    }
}

fn back_up(server: &Server, to: &Path) -> Result<(), String> {
    let output = server.cli(&["backup", to.to_str().expect("text")]);
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Returns the path of an image's layer in a directory.
fn layer(root: &Path, image: &Image) -> PathBuf {
    let digest = sha256(&image.layers[0]);
    let hex = &digest["sha256:".len()..];
    root.join("blobs/sha256").join(&hex[..2]).join(hex)
}

fn survives_links(to: &Path) {
    let server = Server::start();
    // without the right, this process may be led to its own files only
    if chown(server.directory(), Some(OWNER), Some(OWNER)).is_err() {
        announce_skipped("the owner of a backup", "root is required");
    }
    let client = &mut server.client();
    Image::small(0).push(client, "app", "v0");
    back_up(&server, to).expect("a backup");
    let victim = Victim::new();
    let next = Image::small(1);
    let shard = layer(to, &next).parent().expect("a directory").to_owned();
    symlink(victim.0.path(), shard).expect("a link");
    symlink(victim.0.path(), to.join("blobs/sha256/zz")).expect("a link");
    next.push(client, "app", "v1");
    back_up(&server, to).expect("a backup");
    victim.assert_unharmed("a directory of blobs");

    // in the place of what every backup has, a link is refused
    for (place, target) in [("registry.db", "file"), ("blobs", ""), ("blobs/sha256", "")] {
        let (place, aside) = (to.join(place), to.join("aside"));
        fs::rename(&place, &aside).expect("movable");
        symlink(victim.0.path().join(target), &place).expect("a link");
        back_up(&server, to).expect_err("a link in its place");
        victim.assert_unharmed(&place.display().to_string());
        fs::remove_file(&place).expect("removable");
        fs::rename(&aside, &place).expect("movable");
    }
    let partial = to.join("registry.db.partial");
    symlink(victim.0.path().join("file"), &partial).expect("a link");
    let error = back_up(&server, to).expect_err("a link in its place");
    assert!(error.contains("it is a symbolic link"), "{error}");
    victim.assert_unharmed("the database");

    back_up(&server, to).expect("a backup");
    assert_sound(to);
    assert_eq!(pull_everything(to), 2);
}

#[test]
fn links_in_a_backup_on_the_same_disk_lead_nowhere() {
    let directory = TempDir::new().expect("a directory");
    survives_links(&directory.path().join("backup"));
}

#[test]
fn links_in_a_backup_on_another_disk_lead_nowhere() {
    let disk = other_disk();
    survives_links(&disk.path().join("backup"));
}

/// Blobs cannot be linked there, and one that is in its place is replaced.
#[test]
fn a_backup_where_there_are_no_hard_links() {
    let directory = TempDir::new().expect("a directory");
    let disk = match Disk::with(directory.path(), "exfat", &EXFAT) {
        Ok(disk) => disk,
        Err(error) => {
            let reason = format!("root, /dev/fuse and exfat-fuse are required: {error}");
            return announce_skipped("a backup without hard links", &reason);
        }
    };
    let server = Server::at(&disk.path().join("data"), &[]);
    let client = &mut server.client();
    let to = disk.path().join("backup");
    for number in 0..3 {
        let image = Image::small(number);
        image.push(client, "app", &format!("v{number}"));
        back_up(&server, &to).expect("a backup");
        let copy = layer(&to, &image);
        fs::remove_file(&copy).expect("a copy");
        fs::create_dir(&copy).expect("a directory");
    }
    back_up(&server, &to).expect("a backup");
    assert_sound(&to);
    assert_eq!(pull_everything(&to), 3);
}
