//! Resources of the disk that run out: blocks, inodes, or a quota.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::Watched;
use super::metrics::value;
use crate::crash::faults::{Faults, has_strace};
use crate::power_loss::disk::{Disk, FileSystem};
use crate::support::{
    Image, OCI_MANIFEST, announce_skipped, eventually, eventually_some, noise, sha256,
};

const FEW_INODES: FileSystem = FileSystem {
    kind: "ext4",
    format: &["-q", "-F", "-N", "1024"],
    options: "loop",
};
const EXT4: FileSystem = FileSystem {
    kind: "ext4",
    format: &["-q", "-F", "-m", "0"],
    options: "loop",
};
const BTRFS: FileSystem = FileSystem {
    kind: "btrfs",
    format: &["-q", "-f"],
    options: "loop",
};

/// Uses up all inodes; removing the returned directory frees them.
fn use_up_inodes(directory: &Path) -> PathBuf {
    let filler = directory.join("filler");
    fs::create_dir(&filler).expect("a directory");
    let full = (0..).find_map(|number: u32| File::create(filler.join(number.to_string())).err());
    assert_eq!(full.map(|error| error.kind()), Some(ErrorKind::StorageFull));
    filler
}

/// Writes megabytes until that fails; removing the returned directory frees them.
fn use_up_space(directory: &Path) -> PathBuf {
    let filler = directory.join("filler");
    fs::create_dir(&filler).expect("a directory");
    let mut file = File::create(filler.join("file")).expect("a file");
    let block = vec![0; 1 << 20];
    while let Ok(()) = file.write_all(&block).and_then(|()| file.sync_data()) {}
    filler
}

/// A subvolume that may hold as much as `limit` says, in the words of `btrfs`.
pub fn limited_subvolume(disk: &Disk, limit: &str) -> Result<PathBuf, String> {
    let path = disk.path().join("limited");
    let (root, limited) = (disk.path().as_os_str(), path.as_os_str());
    for arguments in [
        &["quota".as_ref(), "enable".as_ref(), root][..],
        &["subvolume".as_ref(), "create".as_ref(), limited],
        &["qgroup".as_ref(), "limit".as_ref(), limit.as_ref(), limited],
    ] {
        let output = Command::new("btrfs").args(arguments).output();
        let output = output.map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
    }
    Ok(path)
}

fn shortages(server: &Watched) -> [Option<f64>; 3] {
    let metrics = server.metrics();
    ["blocks", "inodes", "quota"].map(|resource| {
        let sample = format!(r#"registry_disk_shortage{{resource="{resource}"}}"#);
        value(&metrics, &sample)
    })
}

/// Asserts that readiness, log, metrics and the response to a push name the resource that runs out.
fn assert_named(directory: &Path, use_up: impl Fn(&Path) -> PathBuf, resource: &str, words: &str) {
    let server = Watched::at(&directory.join("data"), &[]);
    let client = &mut server.client();
    let image = Image::small(1);
    image.push(client, "app", "v1");
    assert_eq!(client.get("/readyz").status, 200);
    assert_eq!(shortages(&server), [Some(0.0); 3]);

    let filler = use_up(directory);
    let answer = eventually_some("the server is not ready", || {
        Some(client.get("/readyz")).filter(|answer| answer.status == 503)
    });
    let checks = answer.json()["checks"].clone();
    assert!(
        checks["disk"]
            .as_str()
            .is_some_and(|text| text.contains(words)),
        "{checks}"
    );
    let expected = ["blocks", "inodes", "quota"].map(|name| Some(f64::from(name == resource)));
    assert_eq!(shortages(&server), expected);
    eventually("the log names it", || {
        server.err().iter().any(|line| {
            line.contains(&format!("resource=\"{resource}\"")) && line.contains(" WARN ")
        })
    });
    let blob = noise(3, 4 << 20);
    let path = format!("/v2/app/blobs/uploads/?digest={}", sha256(&blob));
    let refused = client.request("POST", &path).body(&blob).send();
    refused.refused(507, "UNAVAILABLE");
    let message = refused.json()["errors"][0]["message"].clone();
    assert!(
        message.as_str().is_some_and(|text| text.contains(words)),
        "{message}"
    );
    image.assert_pulls(client, "app", "v1");

    fs::remove_dir_all(filler).expect("the filler can be removed");
    let root = File::open(directory).expect("the directory");
    rustix::fs::syncfs(root).expect("a sync");
    eventually("the server is ready again", || {
        client.get("/readyz").status == 200
    });
    assert_eq!(shortages(&server), [Some(0.0); 3]);
}

fn mounted(directory: &TempDir, file_system: &'static FileSystem) -> Option<Disk> {
    let disk = Disk::with(directory.path(), "disk", file_system);
    disk.map_err(|error| {
        announce_skipped(
            "shortages of a disk",
            &format!("root and loop mounts are required: {error}"),
        );
    })
    .ok()
}

#[test]
fn used_up_blocks_are_named() {
    let directory = TempDir::new().expect("a directory");
    if let Some(disk) = mounted(&directory, &EXT4) {
        assert_named(disk.path(), use_up_space, "blocks", "full");
    }
}

#[test]
fn used_up_inodes_are_named() {
    let directory = TempDir::new().expect("a directory");
    if let Some(disk) = mounted(&directory, &FEW_INODES) {
        assert_named(disk.path(), use_up_inodes, "inodes", "inodes");
    }
}

#[test]
fn a_used_up_quota_is_named() {
    let directory = TempDir::new().expect("a directory");
    let Some(disk) = mounted(&directory, &BTRFS) else {
        return;
    };
    match limited_subvolume(&disk, "96M") {
        Ok(path) => assert_named(&path, use_up_space, "quota", "quota"),
        Err(error) => announce_skipped("a used-up quota", &error),
    }
}

/// A file system that counts blocks when it writes them tells of a shortage in a sync only.
#[test]
fn a_shortage_that_a_sync_finds_is_named() {
    if !has_strace() {
        return;
    }
    for (error, resource, words) in [
        ("error=EDQUOT", "quota", "quota"),
        ("error=ENOSPC", "blocks", "full"),
    ] {
        let directory = TempDir::new().expect("a directory");
        let server = Watched::at(&directory.path().join("data"), &[]);
        let client = &mut server.client();
        let image = Image::small(1);
        image.push(client, "app", "v1");
        let faults = Faults::begin(server.child.id(), "fsync,fdatasync", error, "1+");
        let blob = noise(3, 50_000);
        let path = format!("/v2/app/blobs/uploads/?digest={}", sha256(&blob));
        let deleted = format!("/v2/app/manifests/{}", image.digest());
        for (method, path) in [
            ("POST", &*path),
            ("PUT", "/v2/app/manifests/v2"),
            ("DELETE", &*deleted),
        ] {
            let body = if method == "POST" {
                &blob
            } else {
                &image.manifest
            };
            let request = client.request(method, path);
            let answer = request
                .header("Content-Type", OCI_MANIFEST)
                .body(body)
                .send();
            answer.refused(507, "UNAVAILABLE");
            let message = answer.json()["errors"][0]["message"].clone();
            let is_named = message.as_str().is_some_and(|text| text.contains(words));
            assert!(is_named, "{method}: {message}");
        }
        let answer = eventually_some("the server is not ready", || {
            Some(client.get("/readyz")).filter(|answer| answer.status == 503)
        });
        let disk = answer.json()["checks"]["disk"].clone();
        assert!(
            disk.as_str().is_some_and(|text| text.contains(words)),
            "{disk}"
        );
        let expected = ["blocks", "inodes", "quota"].map(|name| Some(f64::from(name == resource)));
        assert_eq!(shortages(&server), expected);
        assert!(faults.end());
        eventually("the server is ready again", || {
            client.get("/readyz").status == 200
        });
        assert_eq!(shortages(&server), [Some(0.0); 3]);
        image.push(client, "app", "v2");
        image.assert_pulls(client, "app", "v2");
    }
}
