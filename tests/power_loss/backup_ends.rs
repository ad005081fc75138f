//! The power fails right after a backup has said that it is complete, on btrfs.
//!
//! There a name is durable once its own directory or all of the disk was synced. The journals of ext4 and XFS keep the
//! order of changes, so that the sync of one directory makes every name before it durable.

use std::process::Command;

use tempfile::TempDir;

use super::disk::{Disk, FileSystem};
use crate::crash::faults::verified;
use crate::support::{Image, Server, announce_skipped, noise};

/// Commits by itself every five minutes only.
const BTRFS: FileSystem = FileSystem {
    kind: "btrfs",
    format: &["-q", "-f"],
    options: "loop,commit=300",
};
const IMAGES: u64 = 20;

fn image(seed: u64) -> Image {
    Image::new(&format!("{seed}"), vec![noise(seed, 20_000)])
}

#[test]
fn a_backup_that_has_just_succeeded_survives_a_power_loss_on_btrfs() {
    let directory = TempDir::new().expect("a directory");
    let disk = |name| Disk::with(directory.path(), name, &BTRFS);
    let (data, backups) = match (disk("data"), disk("backups")) {
        (Ok(data), Ok(backups)) => (data, backups),
        (Err(error), _) | (_, Err(error)) => {
            let reason = format!("root, loop mounts and mkfs.btrfs are required: {error}");
            return announce_skipped("a power loss after a backup on btrfs", &reason);
        }
    };
    let mut server = Server::at(&data.path().join("data"), &[]);
    for seed in 0..IMAGES {
        image(seed).push(&mut server.client(), "app", &format!("v{seed}"));
    }
    server.stop();
    // by hard links, and by copies
    for disk in [&data, &backups] {
        disk.sync();
        let to = disk.path().join("backup");
        let made = Command::new(env!("CARGO_BIN_EXE_registry"))
            .arg("backup")
            .arg(&to)
            .arg("--data-dir")
            .arg(server.directory())
            .output()
            .expect("a command");
        assert!(made.status.success(), "{made:?}");
        disk.cut();
        disk.restore_power();
        let (is_sound, printed) = verified(&to);
        assert!(is_sound, "{}: {printed}", to.display());
        let served = Server::at(&to, &[]);
        for seed in 0..IMAGES {
            image(seed).assert_pulls(&mut served.client(), "app", &format!("v{seed}"));
        }
    }
}
