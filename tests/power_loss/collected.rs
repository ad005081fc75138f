//! The power fails while files are being collected: nothing that is gone may have a row, and nothing that is back may be
//! without one or a note.

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

/// A server with its database and its blobs on disks of their own, which has collected garbage.
struct Scene {
    database: Disk,
    blobs: Disk,
    server: Server,
    _directory: TempDir,
}

impl Scene {
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

    /// Pushes what no image needs, and waits until its files are gone.
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

    /// The power fails, comes back, and everything is in order.
    fn cut(mut self) {
        [&self.database, &self.blobs]
            .into_iter()
            .for_each(Disk::cut);
        self.server.kill();
        [&self.database, &self.blobs]
            .into_iter()
            .for_each(Disk::come_back);
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

fn experiment(run: impl FnOnce(Scene)) {
    match Scene::new() {
        Ok(scene) => run(scene),
        Err(error) => announce_skipped(
            "power loss amid collection",
            &format!("root and loop mounts are required: {error}"),
        ),
    }
}

/// The blobs' disk has written that the files are gone, and the database's nothing that it was not asked to.
#[test]
fn a_file_that_is_gone_has_no_row_after_a_power_loss() {
    experiment(|scene| {
        scene.collect();
        sync(scene.blobs.path());
        scene.cut();
    });
}

/// The database's disk has written that the notes are gone, and the blobs' nothing that it was not asked to.
#[test]
fn a_file_that_comes_back_has_a_note_after_a_power_loss() {
    experiment(|scene| {
        scene.collect();
        eventually("the notes are gone", || scene.notes() == 0);
        drop(scene.server.client().begin_upload("garbage"));
        scene.cut();
    });
}
