//! The power fails while images are pushed, deleted, collected, imported and backed up, on ext4 and on XFS.
//!
//! `POWER_CUTS` is the number of cuts on each file system, `POWER_SEED` repeats their moments.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::disk::{Disk, EXT4, FileSystem};
use crate::crash::faults::verified;
use crate::crash::random::Random;
use crate::import::Store;
use crate::import::command::{import, imported};
use crate::support::{Client, Image, OCI_MANIFEST, Server, announce_skipped, noise, sha256};

const CUTS: u64 = 4;
const WORKERS: u64 = 3;
/// Number of images that a worker pushes before one cut, at most.
const PUSHES: u64 = 6;
/// Longest time before a cut at a random moment, in milliseconds.
const LONGEST: u64 = 400;
/// Longest time for a command to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Short periods, so that what is deleted is collected between two cuts.
const HASTY: &[(&str, &str)] = &[
    ("REGISTRY_GC_LEASE", "500ms"),
    ("REGISTRY_GC_GRACE", "500ms"),
    ("REGISTRY_GC_KEEPUNTAGGED", "500ms"),
    ("REGISTRY_GC_INTERVAL", "20ms"),
];

const XFS: FileSystem = FileSystem {
    kind: "xfs",
    format: &["-q", "-f"],
    options: "loop,nouuid",
};

/// Acknowledged images, by repository and number.
type Images = BTreeMap<(String, u64), Fate>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Pushed,
    Deleted,
    /// The answer to its deletion did not arrive.
    Unknown,
}

/// Moment of a cut.
#[derive(Clone, Copy)]
enum Moment {
    ImportEnds,
    BackupEnds,
    Random,
}

#[test]
fn everything_survives_power_losses_on_ext4() {
    experiment(&EXT4);
}

#[test]
fn everything_survives_power_losses_on_xfs() {
    experiment(&XFS);
}

fn experiment(file_system: &'static FileSystem) {
    let cuts = std::env::var("POWER_CUTS").map_or(CUTS, |cuts| cuts.parse().expect("a number"));
    let directory = TempDir::new().expect("a directory");
    let disk = |name| Disk::with(directory.path(), name, file_system);
    let (data, backups) = match (disk("data"), disk("backups")) {
        (Ok(data), Ok(backups)) => (data, backups),
        (Err(error), _) | (_, Err(error)) => {
            return announce_skipped(
                &format!("power losses on {}", file_system.kind),
                &format!("root, loop mounts and mkfs are required: {error}"),
            );
        }
    };
    let mut rig = Rig {
        server: Server::at(&data.path().join("data"), HASTY),
        data,
        backups,
        random: Random::new(Random::seed_from("POWER_SEED")),
        images: Images::new(),
        round: 0,
        counts: [0; 3],
    };
    for round in 0..cuts {
        rig.round = round;
        rig.cut();
    }
    rig.check_images(0);
    let count = |fate| rig.images.values().filter(|found| **found == fate).count();
    println!(
        "{}: {cuts} power losses, {} images kept, {} deleted; {} imports and {} backups were complete, {} images in these backups",
        file_system.kind,
        count(Fate::Pushed),
        count(Fate::Deleted),
        rig.counts[0],
        rig.counts[1],
        rig.counts[2]
    );
    assert!(count(Fate::Pushed) > 0 && rig.counts.iter().all(|count| *count > 0));
}

struct Rig {
    data: Disk,
    backups: Disk,
    server: Server,
    random: Random,
    images: Images,
    round: u64,
    /// Imports and backups that were complete before a cut, and images that those backups had to have.
    counts: [usize; 3],
}

fn image(repository: &str, seed: u64) -> Image {
    Image::new(
        &format!("{repository} {seed}"),
        vec![noise(seed % 5, 3000), noise(1000 + seed, 20_000)],
    )
}

/// Sends a request to a server that may lose its disk; returns its status.
fn status(client: &mut Client, method: &str, path: &str, body: &[u8]) -> Option<u16> {
    let request = client
        .request(method, path)
        .header("Content-Type", OCI_MANIFEST)
        .body(body);
    request.try_send().ok().map(|response| response.status)
}

fn push(client: &mut Client, repository: &str, seed: u64) -> bool {
    let image = image(repository, seed);
    let blobs = image.layers.iter().chain([&image.config]);
    blobs.into_iter().all(|blob| {
        let path = format!("/v2/{repository}/blobs/uploads/?digest={}", sha256(blob));
        status(client, "POST", &path, blob) == Some(201)
    }) && {
        let path = format!("/v2/{repository}/manifests/v{seed}");
        status(client, "PUT", &path, &image.manifest) == Some(201)
    }
}

/// Pushes images, and deletes every third one, until `stop` is set, right before the disk is lost.
///
/// Answers that arrive later count for nothing: XFS lets a sync succeed that meets the loss, as no power failure does.
fn work(mut client: Client, repository: &str, stop: &AtomicBool) -> Images {
    let mut images = Images::new();
    for seed in 0..PUSHES {
        if !push(&mut client, repository, seed) || stop.load(Ordering::SeqCst) {
            break;
        }
        images.insert((repository.to_owned(), seed), Fate::Pushed);
        if seed % 3 == 2 {
            let digest = image(repository, seed - 1).digest();
            let path = format!("/v2/{repository}/manifests/{digest}");
            let status = status(&mut client, "DELETE", &path, b"");
            let fate = match stop.load(Ordering::SeqCst) {
                false if status == Some(202) => Fate::Deleted,
                _ => Fate::Unknown,
            };
            images.insert((repository.to_owned(), seed - 1), fate);
        }
    }
    images
}

fn started(mut command: Command) -> Child {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("it starts")
}

/// True if a command has ended well.
fn is_done(child: &mut Child) -> bool {
    let status = child.try_wait().expect("a child");
    status.is_some_and(|status| status.success())
}

/// Waits for a command to end.
fn wait(child: &mut Child) {
    let begun = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        assert!(begun.elapsed() < PATIENCE, "a command does not end");
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl Rig {
    /// Works until the power fails, restores it, and checks everything.
    fn cut(&mut self) {
        let moment = match self.round % 4 {
            0 => Moment::ImportEnds,
            1 => Moment::BackupEnds,
            _ => Moment::Random,
        };
        // its files are in memory only, as those that registry:2 has just written are
        let source = self.source();
        let known = self.images.clone();
        let mut backup = started(self.backup_command());
        let mut import = started(import(self.server.directory(), &source, &[]));
        let stop = AtomicBool::new(false);
        let repositories = (0..WORKERS).map(|worker| format!("app-{}-{worker}", self.round));
        let repositories: Vec<_> = repositories.collect();
        let (is_imported, is_backed_up) = std::thread::scope(|scope| {
            let workers: Vec<_> = repositories
                .iter()
                .map(|repository| {
                    let (client, stop) = (self.server.client(), &stop);
                    scope.spawn(move || work(client, repository, stop))
                })
                .collect();
            match moment {
                Moment::ImportEnds => wait(&mut import),
                Moment::BackupEnds => wait(&mut backup),
                Moment::Random => {
                    let life = self.random.below(LONGEST * 1000);
                    std::thread::sleep(Duration::from_micros(life));
                }
            }
            let done = (is_done(&mut import), is_done(&mut backup));
            stop.store(true, Ordering::SeqCst);
            // first, so that no backup is completed from a disk that cannot be read any more
            self.backups.cut();
            self.data.cut();
            self.server.kill();
            for worker in workers {
                self.images.extend(worker.join().expect("a worker"));
            }
            done
        });
        for child in [&mut import, &mut backup] {
            // it may have ended
            let _ = child.kill();
            child.wait().expect("ended");
        }
        self.data.restore_power();
        self.backups.restore_power();
        self.server.restart();
        self.check_images(self.round.saturating_sub(1));
        self.assert_sound(self.server.directory());
        self.check_import(is_imported);
        self.check_backup(is_backed_up, &known);
    }

    /// Writes a store of `registry:2` on the disk of the data directory, without any sync.
    fn source(&self) -> PathBuf {
        let source = self.data.path().join("source");
        if source.exists() {
            fs::remove_dir_all(&source).expect("removed");
        }
        let store = Store::new(&source);
        let repository = self.imported_repository();
        for seed in 0..3 {
            store.image(&repository, &format!("v{seed}"), &image(&repository, seed));
        }
        source
    }

    fn imported_repository(&self) -> String {
        format!("old-{}", self.round)
    }

    fn backup_path(&self) -> PathBuf {
        self.backups.path().join("backup")
    }

    fn backup_command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
        command.arg("backup").arg(self.backup_path());
        command.arg("--data-dir").arg(self.server.directory());
        command
    }

    fn assert_sound(&self, directory: &Path) {
        let (is_sound, printed) = verified(directory);
        let (round, directory) = (self.round, directory.display());
        assert!(is_sound, "{directory} after cut {round}: {printed}");
    }

    /// Pulls what was pushed since that round, and misses what was deleted.
    fn check_images(&self, since: u64) {
        let mut client = self.server.client();
        for ((repository, seed), fate) in &self.images {
            let round = repository
                .split('-')
                .nth(1)
                .and_then(|round| round.parse().ok());
            if round.is_some_and(|round: u64| round < since) {
                continue;
            }
            let (image, tag) = (image(repository, *seed), format!("v{seed}"));
            match fate {
                Fate::Pushed => image.assert_pulls(&mut client, repository, &tag),
                Fate::Deleted => {
                    let path = format!("/v2/{repository}/manifests/{}", image.digest());
                    let status = client.get(&path).status;
                    assert_eq!(
                        status, 404,
                        "{repository}:{tag} is back after cut {}",
                        self.round
                    );
                }
                Fate::Unknown => {}
            }
        }
    }

    /// A complete import is there; any other one succeeds when it is repeated.
    fn check_import(&mut self, is_done: bool) {
        let repository = self.imported_repository();
        if is_done {
            self.counts[0] += 1;
        } else {
            let source = self.source();
            let (code, report) = imported(self.server.directory(), &source, &[]);
            assert_eq!(code, 0, "{report}");
        }
        for seed in 0..3 {
            self.images.insert((repository.clone(), seed), Fate::Pushed);
        }
        self.check_images(self.round);
    }

    /// A complete backup has what was there before it began; any other one leaves the one before whole.
    fn check_backup(&mut self, is_done: bool, known: &Images) {
        let path = self.backup_path();
        if !path.join("registry.db").exists() {
            assert!(!is_done && self.counts[1] == 0, "a backup is lost");
            return;
        }
        self.assert_sound(&path);
        if !is_done {
            return;
        }
        self.counts[1] += 1;
        let database = rusqlite::Connection::open(path.join("registry.db")).expect("a database");
        let mut statement = database
            .prepare(
                "SELECT 1 FROM tags JOIN repositories ON repositories.id = repository_id
                 WHERE repositories.name = ?1 AND tags.name = ?2",
            )
            .expect("a statement");
        for (repository, seed) in known
            .iter()
            .filter_map(|(image, fate)| (*fate == Fate::Pushed).then_some(image))
        {
            let tag = format!("v{seed}");
            let is_there = statement.exists([repository, &tag]).expect("an answer");
            assert!(
                is_there,
                "the backup lacks {repository}:{tag}, which was there before"
            );
            self.counts[2] += 1;
        }
    }
}
