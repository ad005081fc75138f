//! Collection on a full disk.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use tempfile::TempDir;

use crate::power_loss::disk::Disk;
use crate::support::{Image, Server, announce_skipped, eventually, noise};

/// Mounts a separate disk; announces a skip and returns `None` where this machine cannot.
fn disk(directory: &TempDir, what: &str) -> Option<Disk> {
    let disk = Disk::new(directory.path(), "full");
    disk.map_err(|error| {
        announce_skipped(what, &format!("root and loop mounts are required: {error}"))
    })
    .ok()
}

pub fn fill(directory: &Path) {
    let mut filler = File::create(directory.join("filler")).expect("a file");
    for size in [1 << 20, 4096, 1] {
        let block = vec![0; size];
        // a file system reserves more for what is dirty than that needs in the end: full is what stays full after a sync
        let mut failures = 0;
        while failures < 2 {
            match filler.write_all(&block) {
                Ok(()) => failures = 0,
                Err(full) => {
                    let kind = full.kind();
                    let is_full = matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
                    assert!(is_full, "{full}");
                    failures += 1;
                    // an error: the disk is full
                    let _ = rustix::fs::syncfs(&filler);
                }
            }
        }
    }
}

#[test]
fn collection_frees_a_full_disk() {
    let directory = TempDir::new().expect("a directory");
    let Some(disk) = disk(&directory, "collection on a full disk") else {
        return;
    };
    let rules = [
        ("REGISTRY_GC_LEASE", "2s"),
        ("REGISTRY_GC_GRACE", "2s"),
        ("REGISTRY_GC_INTERVAL", "20ms"),
    ];
    let server = Server::at(&disk.path().join("data"), &rules);
    let client = &mut server.client();
    // more than the 5 % that ext4 reserves for root
    let (kept, deleted) = (
        Image::new("kept", vec![noise(1, 1000)]),
        Image::new("deleted", vec![noise(2, 48 << 20)]),
    );
    kept.push_again(client, "app", "kept");
    deleted.push_again(client, "app", "deleted");

    fill(disk.path());
    let refused = client.request(
        "POST",
        &format!(
            "/v2/app/blobs/uploads/?digest={}",
            crate::support::sha256(&noise(3, 50_000))
        ),
    );
    refused
        .body(&noise(3, 50_000))
        .send()
        .refused(507, "UNAVAILABLE");

    assert_eq!(
        client
            .delete(&format!("/v2/app/manifests/{}", deleted.digest()))
            .status,
        202
    );
    eventually("the deleted image's files are gone", || {
        server.blob_files().len() == 2
    });
    kept.assert_pulls(client, "app", "kept");
    // space returns once the file system's journal has committed
    File::open(disk.path())
        .and_then(|root| root.sync_all())
        .expect("a sync");
    let next = Image::new("next", vec![noise(4, 4 << 20)]);
    next.push_again(client, "app", "next");
    next.assert_pulls(client, "app", "next");
}

/// Sets or clears the immutable flag, which binds root too.
fn set_removable(files: &[std::path::PathBuf], flag: &str) {
    assert!(
        Command::new("chattr")
            .arg(flag)
            .args(files)
            .status()
            .expect("chattr")
            .success()
    );
}

/// Uses up the space preallocated to the database's log, so that nothing can be recorded while the
/// connection is open.
fn fill_log(database: &Path) -> Connection {
    let reader = Connection::open(database).expect("the database");
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")
        .expect("a snapshot, which the log must keep");
    let writer = Connection::open(database).expect("the database");
    writer
        .busy_timeout(std::time::Duration::from_secs(20))
        .expect("a timeout");
    writer.execute_batch("PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF; CREATE TABLE ballast (x BLOB)").expect("room for that");
    for size in [256 << 10, 4096, 1] {
        let full = loop {
            if let Err(error) = writer.execute("INSERT INTO ballast VALUES (zeroblob(?1))", [size])
            {
                break error;
            }
        };
        assert_eq!(
            full.sqlite_error_code(),
            Some(rusqlite::ErrorCode::DiskFull),
            "{full}"
        );
    }
    reader
}

/// Removing files of dead blobs needs no disk space and frees some; pulls that cannot be recorded
/// must not prevent it.
#[test]
fn unrecordable_pulls_do_not_stop_collection() {
    let directory = TempDir::new().expect("a directory");
    let Some(disk) = disk(&directory, "pulls on a full disk") else {
        return;
    };
    let rules = [
        ("REGISTRY_GC_LEASE", "500ms"),
        ("REGISTRY_GC_GRACE", "500ms"),
        ("REGISTRY_GC_INTERVAL", "500ms"),
    ];
    let data = disk.path().join("data");
    let mut server = Server::at(&data, &[]);
    let client = &mut server.client();
    let (kept, deleted) = (Image::small(1), Image::small(2));
    kept.push(client, "app", "kept");
    let before = server.blob_files();
    deleted.push(client, "app", "deleted");
    let files: Vec<_> = server
        .blob_files()
        .into_iter()
        .filter(|file| !before.contains(file))
        .collect();
    assert_eq!(files.len(), 2);
    set_removable(&files, "+i");
    assert_eq!(
        client
            .delete(&format!("/v2/app/manifests/{}", deleted.digest()))
            .status,
        202
    );
    assert!(server.stop().success());
    let server = Server::at(&data, &rules);

    let database = data.join("registry.db");
    let count = |table: &str| {
        let connection = Connection::open(&database).expect("the database");
        connection
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get::<_, u64>(0)
            })
            .expect("a count")
    };
    eventually("nothing is left to be done but to remove the files", || {
        (count("trash"), count("blobs"), count("removals")) == (0, 2, 2)
    });
    fill(disk.path());
    let log = fill_log(&database);
    let client = &mut server.client();
    assert_eq!(
        client.delete("/v2/app/manifests/kept").status,
        507,
        "something can still be recorded"
    );
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let client = &mut server.client();
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(client.get("/v2/app/manifests/kept").status, 200);
            }
        });
        let _stop = super::termination::StopAtEnd(&stop);
        set_removable(&files, "-i");
        eventually("the files are removed", || {
            files.iter().all(|file| !file.exists())
        });
    });
    drop(log);
    kept.assert_pulls(client, "app", "kept");
}
