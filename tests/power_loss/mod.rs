//! The power fails while clients push: whatever was acknowledged must be on the disk by then, whole.
//!
//! A kill alone proves nothing of the kind, since the kernel goes on writing what a dead process had handed to it. Here
//! the file system stops at a random moment, and comes back with what it had really written. Not modelled is a disk
//! that loses what it had promised to hold: such a cache is the kernel's to flush, and SQLite's and ours to ask for it.
//!
//! `POWER_SEED` repeats a run, as far as the disk does.

mod collected;
pub mod disk;

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::crash::audit;
use crate::crash::ledger::Ledger;
use crate::crash::promises;
use crate::crash::random::Random;
use crate::crash::worker::{Gone, Worker};
use crate::support::{OCI_MANIFEST, Server, announce_skipped, noise};
use disk::Disk;

const ROUNDS: u64 = 16;
const MOST_ROUNDS: u64 = 96;
/// Number of images that must have been acknowledged for a run to count.
const IMAGES: usize = 50;
const WORKERS: u64 = 5;
/// The longest that clients work before the power fails, in milliseconds.
const LONGEST_LIFE: u64 = 500;

#[test]
fn what_was_acknowledged_survives_a_power_loss() {
    experiment("one disk", |directory| {
        Ok(vec![Disk::new(directory, "data")?])
    });
}

/// With the database on a disk of its own, its syncs cannot make the names of blobs durable by accident: on one ext4
/// they share a journal.
#[test]
fn what_was_acknowledged_survives_a_power_loss_of_two_disks() {
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
            let mut rig = Rig::new(disks, Random::seed_from("POWER_SEED"));
            KINDS
                .iter()
                .for_each(|(kind, promise)| rig.cut_after(kind, *promise));
            (0..ROUNDS).for_each(|_| rig.cut_at_random());
            let promised = |rig: &Rig| rig.ledger.state().manifests.len();
            // a busy machine gets less done between two of them
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

type Promise = fn(&mut Worker<'_>) -> Result<(), Gone>;

/// Each kind of acknowledgement, as the last thing before the power fails: no later sync can help it.
const KINDS: [(&str, Promise); 9] = [
    ("a blob in one request", |worker| {
        worker.push_at_once("quiet/a", &noise(1, 5000))
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
        worker.push_at_once("quiet/a", &noise(7, 5000))?;
        worker.mount("quiet/b", &noise(7, 5000))
    }),
    ("a manifest", |worker| {
        let image = worker.image();
        image
            .layers
            .iter()
            .chain([&image.config])
            .try_for_each(|blob| worker.push_at_once("quiet/a", blob))?;
        worker.put(
            "quiet/a",
            &["latest", "other"],
            OCI_MANIFEST,
            &image.manifest,
        )
    }),
    ("a tag less", |worker| worker.untag("quiet/a", "latest")),
];

/// A server, and the disks that its data directory is on.
struct Rig {
    disks: Vec<Disk>,
    server: Server,
    ledger: Ledger,
    random: Random,
    seed: u64,
    life: u64,
}

impl Rig {
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

    /// The power fails as soon as something has been promised, with nobody else at work.
    fn cut_after(&mut self, kind: &str, promise: Promise) {
        println!("cut after {kind}");
        self.ledger.begin_life();
        let mut worker = Worker::new(
            &[self.server.address().to_owned()],
            &self.ledger,
            self.seed,
            self.life,
            0,
        );
        promise(&mut worker).expect("a server that is alive");
        self.ledger.end_world();
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
        ledger.begin_life();
        let addresses = [server.address().to_owned()];
        std::thread::scope(|scope| {
            for number in 0..WORKERS {
                let worker = Worker::new(&addresses, ledger, *seed, *life, number);
                scope.spawn(move || worker.run());
            }
            std::thread::sleep(Duration::from_micros(random.below(LONGEST_LIFE * 1000)));
            ledger.end_world();
            disks.iter().for_each(Disk::cut);
            server.kill();
        });
        self.recover();
    }

    /// The power comes back, and the server with it.
    fn recover(&mut self) {
        self.life += 1;
        self.disks.iter().for_each(Disk::come_back);
        let root = self.server.directory();
        let seen = audit::check_dead(root);
        self.server.restart();
        audit::check_cleared(self.server.directory());
        promises::check(self.server.address(), &self.ledger, &seen);
        let random = &mut self.random;
        promises::check_sessions(self.server.address(), &self.ledger, || !random.one_in(3));
    }
}

/// Syncs the experiment's own files on the disk.
fn sync(directory: &Path) {
    let directory = std::fs::File::open(directory).expect("a directory");
    directory.sync_all().expect("a sync");
}
