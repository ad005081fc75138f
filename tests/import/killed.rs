//! Imports killed at any moment, beside a server or without one.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::archives::{archive, layout, named};
use super::command::{assert_verified, import, imported};
use super::{KILLS, Store, rounds_of_kills};
use crate::support::{Image, Server, noise};

const REPOSITORIES: usize = 10;

fn images(count: u64) -> Vec<Image> {
    let layers = |seed: u64| (0..5).map(|layer| noise(seed * 5 + layer, 900)).collect();
    (0..count)
        .map(|seed| Image::new("x", layers(seed)))
        .collect()
}

fn place(number: usize) -> (String, String) {
    (format!("r{}", number % REPOSITORIES), format!("v{number}"))
}

/// Starts an import and kills it after `life`.
fn killed(directory: &Path, source: &Path, flags: &[&str], life: Duration) {
    let mut child = import(directory, source, flags)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    // the moment is what is tried here; nothing is waited for
    std::thread::sleep(life);
    child.kill().expect("killed");
    child.wait().expect("ended");
}

/// Counts blobs in the database and files below `blobs/`.
fn blobs(directory: &Path) -> (usize, usize) {
    let database = rusqlite::Connection::open(directory.join("registry.db")).expect("the database");
    let rows = database.query_row("SELECT count(*) FROM blobs", [], |row| row.get(0));
    let shards = std::fs::read_dir(directory.join("blobs/sha256")).expect("a directory");
    let files = shards.map(|shard| {
        let shard = std::fs::read_dir(shard.expect("a shard").path());
        shard.expect("a shard").count()
    });
    (rows.expect("a number"), files.sum())
}

fn collect(directory: &Path) {
    let collected = Command::new(env!("CARGO_BIN_EXE_registry"))
        .args(["gc", "--data-dir"])
        .arg(directory)
        .output()
        .expect("it runs");
    assert!(collected.status.success(), "{collected:?}");
}

/// Kills imports of all images at random moments, repeats them, and looks at everything after each.
fn survives(images: &[Image], source: &Path, flags: &[&str]) {
    let measured = Server::start();
    let whole = Instant::now();
    assert_eq!(imported(measured.directory(), source, flags).0, 0);
    let whole = whole.elapsed();
    for round in 0..rounds_of_kills(3) {
        let server = Server::start();
        let own = Image::small(1000);
        own.push(&mut server.client(), "own", "v1");
        for moment in &noise(round + 1, 6)[..KILLS] {
            let life = whole.mul_f64(f64::from(*moment) / 255.0);
            killed(server.directory(), source, flags, life);
            own.assert_pulls(&mut server.client(), "own", "v1");
            collect(server.directory());
            let (rows, files) = blobs(server.directory());
            assert_eq!(rows, files, "files without a row, or rows without a file");
            assert_verified(server.directory());
        }
        let (code, report) = imported(server.directory(), source, flags);
        assert_eq!(code, 0, "{report}");
        let mut client = server.client();
        for (number, image) in images.iter().enumerate() {
            let (repository, tag) = place(number);
            image.assert_pulls(&mut client, &repository, &tag);
        }
        own.assert_pulls(&mut client, "own", "v1");
        assert_eq!(server.upload_files(), Vec::<std::path::PathBuf>::new());
        assert_verified(server.directory());
    }
}

/// A few random moments; the note has more.
#[test]
fn a_kill_at_any_moment_leaves_nothing_half_done() {
    let source = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(source.path());
    let images = images(60);
    for (number, image) in images.iter().enumerate() {
        let (repository, tag) = place(number);
        store.image(&repository, &tag, image);
    }
    let before = store.snapshot();
    for flags in [&[][..], &["--copy"]] {
        survives(&images, source.path(), flags);
    }
    assert_eq!(store.snapshot(), before);
}

#[test]
fn a_killed_import_of_an_archive_goes_on() {
    let images = images(30);
    let name = |number| {
        let (repository, tag) = place(number);
        named(&format!("{repository}:{tag}"))
    };
    let listed = images.iter().enumerate();
    let listed: Vec<_> = listed
        .map(|(number, image)| (image, name(number)))
        .collect();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), archive(&layout(&listed))).expect("written");
    survives(&images, file.path(), &[]);
}
