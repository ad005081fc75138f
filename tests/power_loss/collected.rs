//! The power fails during collection: a removed file must have no row, and a reappearing file must
//! have a row or a pending removal.

use std::fs::File;
use std::path::Path;

use tempfile::TempDir;

use super::disk::Disk;
use crate::crash::audit;
use crate::support::{Server, announce_skipped, eventually, noise};

const HASTY: &[(&str, &str)] = &[
    ("REGISTRY_GC_LEASE", "50ms"),
    ("REGISTRY_GC_GRACE", "50ms"),
    ("REGISTRY_GC_INTERVAL", "5ms"),
];
const BLOBS: u64 = 20;

/// A server with database and blobs on separate disks, after a collection.
struct CollectedServer {
    database: Disk,
    blobs: Disk,
    server: Server,
    _directory: TempDir,
}

impl CollectedServer {
    fn new() -> Result<Self, String> {
        let directory = TempDir::new().expect("a directory");
        let (blobs, database) = (
            Disk::new(directory.path(), "blobs")?,
            Disk::new(directory.path(), "database")?,
        );
        let root = blobs.path().join("data");
        std::fs::create_dir(&root).expect("an empty disk");
        std::os::unix::fs::symlink(
            database.path().join("registry.db"),
            root.join("registry.db"),
        )
        .expect("a link");
        sync(blobs.path());
        let server = Server::at(&root, HASTY);
        Ok(Self {
            database,
            blobs,
            server,
            _directory: directory,
        })
    }

    /// Pushes unneeded blobs and waits until their files are removed.
    fn collect(&self) {
        let client = &mut self.server.client();
        (0..BLOBS).for_each(|seed| drop(client.push_blob("garbage", &noise(seed, 2000))));
        eventually("the files are gone", || self.server.blob_files().is_empty());
    }

    fn notes(&self) -> i64 {
        let database = rusqlite::Connection::open(self.server.directory().join("registry.db"))
            .expect("the database");
        database
            .query_row("SELECT count(*) FROM removals", [], |row| row.get(0))
            .expect("a count")
    }

    /// Cuts and restores the power, and checks the state.
    fn cut(mut self) {
        [&self.database, &self.blobs]
            .into_iter()
            .for_each(Disk::cut);
        self.server.kill();
        [&self.database, &self.blobs]
            .into_iter()
            .for_each(Disk::restore_power);
        audit::check_collected(self.server.directory());
        self.server.restart();
        eventually("what came back has been collected again", || {
            self.server.blob_files().is_empty() && self.notes() == 0
        });
    }
}

fn sync(directory: &Path) {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .expect("a sync");
}

fn experiment(run: impl FnOnce(CollectedServer)) {
    match CollectedServer::new() {
        Ok(scene) => run(scene),
        Err(error) => announce_skipped(
            "power loss amid collection",
            &format!("root and loop mounts are required: {error}"),
        ),
    }
}

/// The blob disk has written the removal of the files, the database's disk only what was synced.
#[test]
fn a_removed_file_has_no_row_after_a_power_loss() {
    experiment(|scene| {
        scene.collect();
        sync(scene.blobs.path());
        scene.cut();
    });
}

/// The database's disk has written the end of the pending removals, the blob disk only what was
/// synced.
#[test]
fn a_reappearing_file_has_a_pending_removal_after_a_power_loss() {
    experiment(|scene| {
        scene.collect();
        eventually("the notes are gone", || scene.notes() == 0);
        drop(scene.server.client().begin_upload("garbage"));
        scene.cut();
    });
}
