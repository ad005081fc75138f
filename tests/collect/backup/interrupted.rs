//! Backups that are killed, and those onto a disk that fills up.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{assert_sound, files_below, other_disk, pull_everything};
use crate::collect::full_disk;
use crate::crash::random::Random;
use crate::power_loss::disk::{Disk, FileSystem};
use crate::support::{Image, Server, announce_skipped, noise};

/// Number of backups that are killed, unless `BACKUP_KILLS` says otherwise.
const KILLS: u64 = 12;
/// Longer than a backup of the test's server takes, in milliseconds.
const LONGEST: u64 = 150;

fn back_up(server: &Server, to: &Path) -> std::process::Output {
    server.cli(&["backup", to.to_str().expect("text")])
}

/// Starts a backup and kills it after some milliseconds.
fn kill(server: &Server, to: &Path, after: u64) {
    let mut backup = Command::new(env!("CARGO_BIN_EXE_registry"))
        .arg("backup")
        .arg(to)
        .arg("--data-dir")
        .arg(server.directory())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    std::thread::sleep(Duration::from_millis(after));
    backup.kill().expect("killed");
    backup.wait().expect("it ends");
}

fn push(server: &Server, seed: u64) {
    let layers = (0..4)
        .map(|layer| noise(100 * seed + layer, 200_000))
        .collect();
    Image::new(&seed.to_string(), layers).push(&mut server.client(), "app", &format!("v{seed}"));
}

#[test]
fn a_killed_backup_leaves_the_one_before_whole() {
    let kills =
        std::env::var("BACKUP_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number"));
    let mut random = Random::new(Random::seed_from("BACKUP_SEED"));
    let server = Server::start();
    let disk = other_disk();
    let to = disk.path().join("backup");
    // a first one, too
    push(&server, 0);
    kill(&server, &to, random.below(LONGEST));
    let mut complete = 0;
    for seed in 1..=kills {
        let output = back_up(&server, &to);
        assert!(output.status.success(), "{output:?}");
        push(&server, seed);
        kill(&server, &to, random.below(LONGEST));
        assert_sound(&to);
        let images = pull_everything(&to) as u64;
        assert!(
            [seed, seed + 1].contains(&images),
            "{images} images after {seed} pushes"
        );
        complete += u64::from(images == seed + 1);
    }
    assert!(back_up(&server, &to).status.success());
    assert_eq!(pull_everything(&to) as u64, kills + 1);
    let leftovers = files_below(&to)
        .into_iter()
        .filter(|file| file.to_string_lossy().contains("partial"));
    assert_eq!(leftovers.count(), 0);
    println!("{kills} backups killed, {complete} of them after they were complete");
}

/// Few inodes: the disk fills up in the middle of the copies, with bytes left.
const FEW_INODES: FileSystem = FileSystem {
    kind: "tmpfs",
    format: &[],
    options: "size=256m,nr_inodes=60",
};

#[test]
fn a_full_disk_leaves_the_backup_before_whole_and_no_litter() {
    let directory = TempDir::new().expect("a directory");
    let disk = match Disk::with(directory.path(), "few", &FEW_INODES) {
        Ok(disk) => disk,
        Err(reason) => return announce_skipped("a backup onto a disk without inodes", &reason),
    };
    let server = Server::start();
    push(&server, 0);
    let first = disk.path().join("first");
    let to = disk.path().join("backup");
    assert!(back_up(&server, &to).status.success());
    let before = files_below(&to);
    for seed in 1..20 {
        push(&server, seed);
    }
    for (to, files) in [(&to, before), (&first, Vec::new())] {
        let output = back_up(&server, to);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(1) && said.contains("is full: free space there"),
            "{output:?}"
        );
        if to.exists() {
            assert_eq!(files_below(to), files);
        } else {
            assert!(files.is_empty());
        }
    }
    assert_sound(&to);
    assert_eq!(pull_everything(&to), 1);
}

#[test]
fn a_disk_that_is_too_small_is_found_before_it_is_full() {
    let directory = TempDir::new().expect("a directory");
    let disk = match Disk::new(directory.path(), "small") {
        Ok(disk) => disk,
        Err(reason) => return announce_skipped("a backup onto a small disk", &reason),
    };
    let server = Server::start();
    push(&server, 0);
    let to = disk.path().join("backup");
    assert!(back_up(&server, &to).status.success());
    let before = files_below(&to);
    full_disk::fill(disk.path());
    let filler = std::fs::File::options()
        .write(true)
        .open(disk.path().join("filler"))
        .expect("a file");
    let length = filler.metadata().expect("a file").len();
    filler.set_len(length - (30 << 20)).expect("some space");
    filler.sync_all().expect("a sync");
    drop(filler);
    let large = Image::new("large", (0..40).map(|seed| noise(seed, 2 << 20)).collect());
    large.push(&mut server.client(), "app", "large");
    let output = back_up(&server, &to);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(1) && said.contains("bytes free"),
        "{output:?}"
    );
    assert_eq!(files_below(&to), before);

    std::fs::remove_file(disk.path().join("filler")).expect("removed");
    // space returns once the file system's journal has committed
    std::fs::File::open(disk.path())
        .and_then(|root| root.sync_all())
        .expect("a sync");
    assert!(back_up(&server, &to).status.success());
    assert_sound(&to);
    assert_eq!(pull_everything(&to), 2);
}
