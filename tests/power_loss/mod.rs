//! The power fails while clients push: everything acknowledged must be on the disk, complete.
//!
//! A kill alone proves nothing of the kind, since the kernel goes on writing a dead process's data.
//! Here the file system stops at a random moment and returns with what was really written. Disks
//! that lose data they claimed to have written are not modelled: flushing their caches is the
//! kernel's task, requested by SQLite and the server.
//!
//! `POWER_SEED` repeats a run, as far as the disk allows.

mod adopted;
mod backup_ends;
mod collected;
pub mod disk;
mod moving;
mod told;
mod without_links;

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::crash::audit;
use crate::crash::ledger::Ledger;
use crate::crash::promises;
use crate::crash::random::Random;
use crate::crash::worker::{ServerDied, Worker};
use crate::support::{OCI_MANIFEST, Server, announce_skipped, noise};
use disk::Disk;

const ROUNDS: u64 = 16;
const MOST_ROUNDS: u64 = 96;
/// Minimum number of acknowledged images for a run to count.
const IMAGES: usize = 50;
const WORKERS: u64 = 5;
/// Longest time that clients work before the power fails, in milliseconds.
const LONGEST_LIFE: u64 = 500;

#[test]
fn acknowledged_content_survives_a_power_loss() {
    experiment("one disk", |directory| {
        Ok(vec![Disk::new(directory, "data")?])
    });
}

/// With the database on a separate disk, its syncs cannot accidentally persist the names of blobs:
/// on one ext4 they share a journal.
#[test]
fn acknowledged_content_survives_a_power_loss_of_two_disks() {
    experiment("two disks", |directory| {
        Ok(vec![
            Disk::new(directory, "data")?,
            Disk::new(directory, "database")?,
        ])
    });
}

fn experiment(what: &str, make: impl FnOnce(&Path) -> Result<Vec<Disk>, String>) {
    let directory = TempDir::new().expect("a temporary directory");
    match make(directory.path()) {
        Ok(disks) => {
            let mut rig = PoweredServer::new(disks, Random::seed_from("POWER_SEED"));
            KINDS
                .iter()
                .for_each(|(kind, promise)| rig.cut_after(kind, *promise));
            (0..ROUNDS).for_each(|_| rig.cut_at_random());
            let promised = |rig: &PoweredServer| rig.ledger.state().manifests.len();
            // a busy machine does less between two cuts
            let mut more = ROUNDS..MOST_ROUNDS;
            while promised(&rig) < IMAGES && more.next().is_some() {
                rig.cut_at_random();
            }
            let promised = promised(&rig);
            println!(
                "{what}: {} power losses, {promised} images acknowledged",
                rig.life
            );
            assert!(promised >= IMAGES, "an experiment of {promised} images");
        }
        Err(error) => announce_skipped(
            &format!("power loss with {what}"),
            &format!("root and loop mounts are required: {error}"),
        ),
    }
}

type Acknowledge = fn(&mut Worker<'_>) -> Result<(), ServerDied>;

/// Every kind of acknowledgement, as the last event before the power fails: no later sync can
/// persist it.
const KINDS: [(&str, Acknowledge); 9] = [
    ("a blob in one request", |worker| {
        worker.push_monolithic("quiet/a", &noise(1, 5000))
    }),
    ("a blob in two requests", |worker| {
        worker.push_in_chunks("quiet/a", &noise(2, 70_000), 0)
    }),
    ("a blob in chunks", |worker| {
        worker.push_in_chunks("quiet/a", &noise(3, 5000), 3)
    }),
    ("a large blob", |worker| {
        worker.push_in_chunks("quiet/a", &noise(4, 9 << 20), 0)
    }),
    ("a new session", |worker| {
        worker.open_session("quiet/a", &noise(5, 5000)).map(drop)
    }),
    ("a chunk", |worker| {
        let content = noise(6, 5000);
        let session = worker.open_session("quiet/a", &content)?;
        worker.append(&session, &content[..2000], 0)
    }),
    ("a mount", |worker| {
        worker.push_monolithic("quiet/a", &noise(7, 5000))?;
        worker.mount("quiet/b", &noise(7, 5000))
    }),
    ("a manifest", |worker| {
        let image = worker.image();
        image
            .layers
            .iter()
            .chain([&image.config])
            .try_for_each(|blob| worker.push_monolithic("quiet/a", blob))?;
        worker.put(
            "quiet/a",
            &["latest", "other"],
            OCI_MANIFEST,
            &image.manifest,
        )
    }),
    ("a tag less", |worker| worker.untag("quiet/a", "latest")),
];

/// A server and the disks of its data directory.
struct PoweredServer {
    disks: Vec<Disk>,
    server: Server,
    ledger: Ledger,
    random: Random,
    seed: u64,
    life: u64,
}

impl PoweredServer {
    fn new(disks: Vec<Disk>, seed: u64) -> Self {
        let root = disks[0].path().join("data");
        if let Some(second) = disks.get(1) {
            std::fs::create_dir(&root).expect("an empty disk");
            std::os::unix::fs::symlink(second.path().join("registry.db"), root.join("registry.db"))
                .expect("a link");
            sync(disks[0].path());
        }
        let server = Server::at(&root, &[]);
        Self {
            disks,
            server,
            ledger: Ledger::default(),
            random: Random::new(seed),
            seed,
            life: 0,
        }
    }

    /// Cuts the power right after an acknowledgement, with no other client.
    fn cut_after(&mut self, kind: &str, promise: Acknowledge) {
        println!("cut after {kind}");
        self.ledger.server_started();
        let mut worker = Worker::new(
            &[self.server.address().to_owned()],
            &self.ledger,
            self.seed,
            self.life,
            0,
        );
        promise(&mut worker).expect("a server that is alive");
        self.ledger.power_lost();
        self.disks.iter().for_each(Disk::cut);
        self.server.kill();
        self.recover();
    }

    fn cut_at_random(&mut self) {
        let Self {
            disks,
            server,
            ledger,
            random,
            seed,
            life,
        } = self;
        ledger.server_started();
        let addresses = [server.address().to_owned()];
        std::thread::scope(|scope| {
            for number in 0..WORKERS {
                let worker = Worker::new(&addresses, ledger, *seed, *life, number);
                scope.spawn(move || worker.run());
            }
            std::thread::sleep(Duration::from_micros(random.below(LONGEST_LIFE * 1000)));
            ledger.power_lost();
            disks.iter().for_each(Disk::cut);
            server.kill();
        });
        self.recover();
    }

    /// Restores the power and starts the server.
    fn recover(&mut self) {
        self.life += 1;
        self.disks.iter().for_each(Disk::restore_power);
        let root = self.server.directory();
        let seen = audit::check_crashed(root);
        self.server.restart();
        audit::check_cleared(self.server.directory());
        promises::check(self.server.address(), &self.ledger, &seen);
        let random = &mut self.random;
        promises::check_sessions(self.server.address(), &self.ledger, || !random.one_in(3));
    }
}

/// Syncs the test's own files on the disk.
fn sync(directory: &Path) {
    let directory = std::fs::File::open(directory).expect("a directory");
    directory.sync_all().expect("a sync");
}
