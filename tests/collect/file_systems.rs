//! A full disk of every kind that can be mounted: the server starts, serves pulls and deletes there.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::full_disk::fill;
use crate::power_loss::disk::{Disk, FileSystem};
use crate::support::{
    Client, Image, OCI_MANIFEST, Server, announce_skipped, eventually, noise, sha256,
};
use crate::watch::shortages::limited_subvolume;

const EXT4: FileSystem = FileSystem {
    kind: "ext4",
    format: &["-q", "-F"],
    options: "loop",
};
const EXT4_OF_SMALL_BLOCKS: FileSystem = FileSystem {
    kind: "ext4",
    format: &["-q", "-F", "-b", "1024"],
    options: "loop",
};
const XFS: FileSystem = FileSystem {
    kind: "xfs",
    format: &["-q", "-f", "-m", "reflink=0"],
    options: "loop",
};
const XFS_WITH_REFLINKS: FileSystem = FileSystem {
    kind: "xfs",
    format: &["-q", "-f", "-m", "reflink=1"],
    options: "loop",
};
const BTRFS: FileSystem = FileSystem {
    kind: "btrfs",
    format: &["-q", "-f"],
    options: "loop",
};
const TMPFS: FileSystem = FileSystem {
    kind: "tmpfs",
    format: &[],
    options: "size=96m",
};

/// Without hard links.
pub const EXFAT: FileSystem = FileSystem {
    kind: "exfat-fuse",
    format: &[],
    options: "loop",
};

/// Pulls everything several times, with what was changed in memory written back in between: only then does a change of a
/// mapped page ask the file system again.
fn pull_often(server: &Server, disk: &Disk, image: &Image) {
    for _ in 0..3 {
        let client = &mut server.client();
        image.assert_pulls(client, "app", "kept");
        assert_eq!(client.get("/v2/_catalog").status, 200);
        assert_eq!(client.get("/v2/app/tags/list").status, 200);
        write_back(disk);
    }
}

fn write_back(disk: &Disk) {
    let root = File::open(disk.path()).expect("the root of the disk");
    // fails where the disk is full, after it has tried
    let _ = rustix::fs::syncfs(root);
}

/// Pushes blobs until one is refused: the server may have freed a few blocks since the disk was filled.
fn push_is_refused(client: &mut Client) {
    let refused = (0..20).find_map(|number| {
        let blob = noise(1000 + number, 50_000);
        let path = format!("/v2/app/blobs/uploads/?digest={}", sha256(&blob));
        let answer = client.request("POST", &path).body(&blob).send();
        (answer.status != 201).then_some(answer)
    });
    let refused = refused.expect("the disk is full");
    refused.refused(507, "UNAVAILABLE");
}

/// Runs the test on a file system.
fn on_a_full(file_system: &'static FileSystem) {
    let name = file_system.kind;
    let directory = TempDir::new().expect("a directory");
    let disk = match Disk::with(directory.path(), "full", file_system) {
        Ok(disk) => disk,
        Err(error) => {
            let reason = format!("root, loop mounts and mkfs.{name} are required: {error}");
            return announce_skipped(&format!("a full {name}"), &reason);
        }
    };
    let data = disk.path().join("data");
    let rules = [
        ("REGISTRY_GC_LEASE", "2s"),
        ("REGISTRY_GC_GRACE", "2s"),
        ("REGISTRY_GC_INTERVAL", "50ms"),
    ];
    let mut server = Server::at(&data, &rules);
    let client = &mut server.client();
    let (kept, deleted) = (
        Image::new("kept", vec![noise(1, 100_000)]),
        Image::new("deleted", vec![noise(2, 8 << 20)]),
    );
    kept.push_again(client, "app", "kept");
    deleted.push_again(client, "app", "deleted");
    write_back(&disk);

    fill(disk.path());
    pull_often(&server, &disk, &kept);
    push_is_refused(client);
    pull_often(&server, &disk, &kept);

    let path = format!("/v2/app/manifests/{}", deleted.digest());
    assert_eq!(client.delete(&path).status, 202, "{name}");
    eventually("the deleted image's files are gone", || {
        server.blob_files().len() == 2
    });
    pull_often(&server, &disk, &kept);

    // as after a crash, and as after an ordinary end whose freed space others have taken
    server.kill();
    fill(disk.path());
    server.restart();
    pull_often(&server, &disk, &kept);
    assert!(server.stop().success(), "{name}");
    fill(disk.path());
    server.restart();
    pull_often(&server, &disk, &kept);
}

#[test]
fn a_full_ext4() {
    on_a_full(&EXT4);
}

/// Fills a disk to the last block, but for some that are fewer than the index needs.
fn leave_some(disk: &Disk) {
    let dd = |output: &str| {
        let to = format!("of={}", disk.path().join(output).display());
        let mut fill = Command::new("dd");
        fill.args(["if=/dev/zero", &to, "bs=1k"]);
        fill.output().expect("dd");
        write_back(disk);
    };
    dd("rest");
    dd("last");
    let filler = File::options().write(true).open(disk.path().join("filler"));
    let filler = filler.expect("the filler");
    let length = filler.metadata().expect("a length").len();
    filler.set_len(length - (100 << 10)).expect("cut");
    write_back(disk);
}

/// A page of the index that SQLite maps has four blocks there, of which it writes one: a disk without the others would end the
/// process with a signal, so nothing opens the database on one.
#[test]
fn a_full_ext4_of_small_blocks() {
    let directory = TempDir::new().expect("a directory");
    let disk = match Disk::with(directory.path(), "full", &EXT4_OF_SMALL_BLOCKS) {
        Ok(disk) => disk,
        Err(error) => {
            let reason = format!("root, loop mounts and mkfs.ext4 are required: {error}");
            return announce_skipped("a full ext4 of small blocks", &reason);
        }
    };
    let (data, copy) = (disk.path().join("data"), disk.path().join("copy"));
    let mut server = Server::at(&data, &[]);
    let kept = Image::new("kept", vec![noise(1, 100_000)]);
    kept.push(&mut server.client(), "app", "kept");
    let made = server.cli(&["backup", copy.to_str().expect("text")]);
    assert!(made.status.success(), "{made:?}");
    write_back(&disk);
    fill(disk.path());
    pull_often(&server, &disk, &kept);
    push_is_refused(&mut server.client());
    server.kill();
    fill(disk.path());
    server.restart();
    pull_often(&server, &disk, &kept);
    assert!(server.stop().success());
    fill(disk.path());
    leave_some(&disk);

    // a backup has no index yet
    for arguments in [
        &["verify"][..],
        &["ls"],
        &["serve", "--addr", "127.0.0.1:0"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
        command.args(arguments).arg("--data-dir").arg(&copy);
        let output = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(
            said.contains("is full") && said.contains("free space"),
            "{said}"
        );
    }
    for name in ["filler", "rest", "last"] {
        std::fs::remove_file(disk.path().join(name)).expect("it can be removed");
    }
    server.restart();
    pull_often(&server, &disk, &kept);
    let copy = Server::at(&copy, &[]);
    kept.assert_pulls(&mut copy.client(), "app", "kept");
}

#[test]
fn a_full_xfs() {
    on_a_full(&XFS);
}

#[test]
fn a_full_xfs_with_reflinks() {
    on_a_full(&XFS_WITH_REFLINKS);
}

#[test]
fn a_full_btrfs() {
    on_a_full(&BTRFS);
}

#[test]
fn a_full_tmpfs() {
    on_a_full(&TMPFS);
}

/// It reserves no space for the database's log, so nothing can be deleted there.
#[test]
fn a_full_exfat() {
    let directory = TempDir::new().expect("a directory");
    let disk = match Disk::with(directory.path(), "full", &EXFAT) {
        Ok(disk) => disk,
        Err(error) => {
            let reason = format!("root, /dev/fuse and exfat-fuse are required: {error}");
            return announce_skipped("a full exfat", &reason);
        }
    };
    let rules = [
        ("REGISTRY_GC_LEASE", "2s"),
        ("REGISTRY_GC_GRACE", "2s"),
        ("REGISTRY_GC_INTERVAL", "50ms"),
    ];
    let mut server = Server::at(&disk.path().join("data"), &rules);
    let (kept, deleted) = (
        Image::new("kept", vec![noise(1, 100_000)]),
        Image::new("deleted", vec![noise(2, 8 << 20)]),
    );
    kept.push_again(&mut server.client(), "app", "kept");
    deleted.push_again(&mut server.client(), "app", "deleted");
    fill(disk.path());
    pull_often(&server, &disk, &kept);
    push_is_refused(&mut server.client());
    server.kill();
    server.restart();
    pull_often(&server, &disk, &kept);

    std::fs::remove_file(disk.path().join("filler")).expect("the filler can be removed");
    let client = &mut server.client();
    let path = format!("/v2/app/manifests/{}", deleted.digest());
    assert_eq!(client.delete(&path).status, 202);
    eventually("the deleted image's files are gone", || {
        server.blob_files().len() == 2
    });
    Image::small(3).push_again(client, "app", "next");
    pull_often(&server, &disk, &kept);
}

/// A backup by reflinks shares the blocks of the database's index, and every change of a shared block needs a new one: the
/// server copies them while it is idle.
#[test]
fn a_full_xfs_after_a_reflink_copy() {
    let directory = TempDir::new().expect("a directory");
    let disk = match Disk::with(directory.path(), "full", &XFS_WITH_REFLINKS) {
        Ok(disk) => disk,
        Err(error) => {
            let reason = format!("root, loop mounts and mkfs.xfs are required: {error}");
            return announce_skipped("a full xfs after a reflink copy", &reason);
        }
    };
    let data = disk.path().join("data");
    let server = Server::at(&data, &[]);
    let client = &mut server.client();
    let kept = Image::new("kept", vec![noise(1, 100_000)]);
    kept.push(client, "app", "kept");
    write_back(&disk);
    reflink(&data, &disk.path().join("backup"));
    let index = data.join("registry.db-shm");
    assert!(is_shared(&index), "the copy shares nothing");
    // without a request, which would have the blocks copied
    eventually("the index has blocks of its own", || !is_shared(&index));
    fill(disk.path());
    pull_often(&server, &disk, &kept);
}

/// True if a block of the file belongs to another file too.
fn is_shared(file: &Path) -> bool {
    let output = Command::new("filefrag").arg("-v").arg(file).output();
    let output = output.expect("filefrag");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).contains("shared")
}

/// Copies a directory without copying its blocks.
fn reflink(from: &Path, to: &Path) {
    let output = Command::new("cp")
        .args(["--recursive", "--reflink=always"])
        .args([from, to])
        .output()
        .expect("cp");
    assert!(output.status.success(), "{output:?}");
}

/// A quota is charged even for a block that exists: the server frees space that it has set aside.
#[test]
fn a_full_quota_on_btrfs() {
    let directory = TempDir::new().expect("a directory");
    let limited = Disk::with(directory.path(), "full", &BTRFS)
        .and_then(|disk| limited_subvolume(&disk, "96M").map(|path| (disk, path)));
    let (disk, path) = match limited {
        Ok(limited) => limited,
        Err(error) => {
            let reason = format!("root, loop mounts and btrfs quotas are required: {error}");
            return announce_skipped("a full quota on btrfs", &reason);
        }
    };
    let mut server = Server::at(&path.join("data"), &[]);
    let client = &mut server.client();
    let kept = Image::new("kept", vec![noise(1, 100_000)]);
    kept.push(client, "app", "kept");
    write_back(&disk);

    fill(&path);
    pull_often(&server, &disk, &kept);
    push_is_refused(client);
    pull_often(&server, &disk, &kept);
    assert_eq!(client.delete("/v2/app/manifests/kept").status, 202);
    assert!(server.stop().success());
    std::fs::remove_file(path.join("filler")).expect("the filler can be removed");
    write_back(&disk);
    server.restart();
    let client = &mut server.client();
    eventually("pushes are accepted again", || {
        client
            .request("POST", "/v2/app/blobs/uploads/")
            .send()
            .status
            == 202
    });
}

/// Number of refused pushes after which not even a deletion finds a block.
const REFUSALS: usize = 12;

/// Pushes use up all that a quota leaves: deletions then have the space that is set aside, without a restart.
#[test]
fn a_quota_on_btrfs_that_pushes_use_up() {
    let directory = TempDir::new().expect("a directory");
    let limited = Disk::with(directory.path(), "full", &BTRFS)
        .and_then(|disk| limited_subvolume(&disk, "50M").map(|path| (disk, path)));
    let (_disk, path) = match limited {
        Ok(limited) => limited,
        Err(error) => {
            let reason = format!("root, loop mounts and btrfs quotas are required: {error}");
            return announce_skipped("a quota on btrfs that pushes use up", &reason);
        }
    };
    let rules = [
        ("REGISTRY_GC_LEASE", "1s"),
        ("REGISTRY_GC_GRACE", "1s"),
        ("REGISTRY_GC_INTERVAL", "1h"),
    ];
    let server = Server::at(&path.join("data"), &rules);
    let client = &mut server.client();
    for round in 0..2 {
        let pushed = fill_by_pushes(client, round);
        let last = pushed.last().expect("room for some");
        last.assert_pulls(client, "app", "all");
        for image in &pushed {
            let path = format!("/v2/app/manifests/{}", image.digest());
            assert_eq!(client.delete(&path).status, 202);
        }
        eventually("registry gc frees the space", || {
            let output = server.cli(&["gc"]);
            assert!(output.status.success(), "{output:?}");
            server.blob_files().is_empty()
        });
    }
}

/// Pushes images of 3 MB, as clients do that try again: until many are refused, which use up the last blocks. Returns the
/// others.
fn fill_by_pushes(client: &mut Client, round: u64) -> Vec<Image> {
    let mut pushed = Vec::new();
    let mut refused = 0;
    'images: for number in 100 * round.. {
        let image = Image::new(&number.to_string(), vec![noise(number, 3_000_000)]);
        let blobs = [&image.config].into_iter().chain(&image.layers);
        let blobs = blobs.map(|blob| (Some(sha256(blob)), blob));
        for (digest, body) in blobs.chain([(None, &image.manifest)]) {
            let begun = client.request("POST", "/v2/app/blobs/uploads/").send();
            // a session keeps what its failed request has brought where nothing can be cut off
            let path = match (&digest, begun.header("location")) {
                (None, _) => "/v2/app/manifests/all".to_owned(),
                (Some(digest), Some(place)) => format!("{place}&digest={digest}"),
                (Some(_), None) => "/v2/app/blobs/uploads/".to_owned(),
            };
            let method = if path.ends_with('/') { "POST" } else { "PUT" };
            let path = path.split_once("/v2/").map_or(&*path, |(_, rest)| rest);
            let request = client.request(method, &format!("/v2/{path}"));
            let answer = request
                .header("Content-Type", OCI_MANIFEST)
                .body(body)
                .send();
            if answer.status != 201 {
                answer.refused(507, "UNAVAILABLE");
                refused += 1;
                if refused == REFUSALS {
                    break 'images;
                }
                continue 'images;
            }
        }
        pushed.push(image);
    }
    pushed
}
