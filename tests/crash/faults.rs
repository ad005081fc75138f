//! Faults at system calls: whatever fails, nothing is left half-done, and the next attempt succeeds.
//!
//! `strace` makes the nth call of each thread fail. `FAULTS=all` goes on until nothing fails any more; else it is the first few.

use std::fmt::Display;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Client, Image, OCI_MANIFEST, Server, announce_skipped, eventually, noise, sha256,
};

/// Not `write`, which wakes threads and writes no file of the data directory.
const CALLS: [&str; 9] = [
    "pwrite64",
    "writev",
    "fsync,fdatasync,syncfs",
    "linkat",
    "unlink,unlinkat",
    "mkdir,mkdirat",
    "openat,openat2",
    "ftruncate",
    "fallocate",
];
pub const ERRORS: [&str; 2] = ["error=EIO", "error=ENOSPC"];

/// Calls of each thread that fail in everyday tests.
const FEW: u32 = 2;

pub fn has_strace() -> bool {
    let version = Command::new("strace").arg("--version").output();
    let has = version.is_ok_and(|output| output.status.success());
    if !has {
        announce_skipped("faults at system calls", "strace is not installed");
    }
    has
}

/// True if calls fail until nothing fails any more.
pub fn is_whole_run() -> bool {
    std::env::var_os("FAULTS").is_some_and(|value| value == "all")
}

/// The numbers of the calls that fail, one after the other.
pub fn numbers() -> std::ops::RangeInclusive<u32> {
    1..=if is_whole_run() { 500 } else { FEW }
}

/// `strace` with a log, which injects a `fault` into these calls of each thread, for those that `when` tells.
pub fn strace(log: &Path, calls: &str, fault: &str, when: impl Display) -> Command {
    let mut command = Command::new("strace");
    command.arg("-f").arg("-o").arg(log);
    command.args(["-e", &format!("trace={calls}")]);
    command.args(["-e", &format!("inject={calls}:{fault}:when={when}")]);
    command
}

/// True if a call was made to fail.
pub fn has_failed(log: &Path) -> bool {
    let log = std::fs::read_to_string(log).expect("a log");
    log.contains("(INJECTED)")
}

/// A running server whose calls fail.
pub struct Faults {
    strace: Child,
    log: PathBuf,
    _temporary: TempDir,
}

impl Faults {
    /// Injects a fault into these calls of each thread, and for those that `when` tells: both in the words of `strace`.
    pub fn begin(server: u32, calls: &str, fault: &str, when: impl Display) -> Self {
        let temporary = TempDir::new().expect("a directory");
        let log = temporary.path().join("log");
        let mut strace = strace(&log, calls, fault, when)
            .args(["-p", &server.to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace");
        let mut said = String::new();
        let stderr = strace.stderr.as_mut().expect("a pipe");
        BufReader::new(stderr).read_line(&mut said).expect("a line");
        assert!(said.contains("attached"), "{said}");
        Self {
            strace,
            log,
            _temporary: temporary,
        }
    }

    /// Ends them; reports whether there were any.
    pub fn end(mut self) -> bool {
        let pid = i32::try_from(self.strace.id()).expect("a pid");
        let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("signalled");
        self.strace.wait().expect("ended");
        has_failed(&self.log)
    }
}

/// Sends a request to a server that may fail to answer; returns its status.
fn status(client: &mut Client, method: &str, path: &str, body: &[u8]) -> Option<(u16, String)> {
    let request = client
        .request(method, path)
        .header("Content-Type", OCI_MANIFEST)
        .body(body);
    let response = request.try_send().ok()?;
    let location = response.header("location").unwrap_or_default().to_owned();
    Some((response.status, location))
}

/// Pushes an image as far as it goes; true if all of it was acknowledged.
fn push(server: &Server, image: &Image, tag: &str) -> bool {
    let mut is_whole = true;
    for blob in image.layers.iter().chain([&image.config]) {
        let mut client = server.client();
        let begun = status(&mut client, "POST", "/v2/app/blobs/uploads/", b"");
        let Some((202, location)) = begun else {
            is_whole = false;
            continue;
        };
        let (first, rest) = blob.split_at(blob.len() / 2);
        let place = match status(&mut client, "PATCH", &location, first) {
            Some((202, place)) => place,
            _ => location,
        };
        let end = format!("{place}&digest={}", sha256(blob));
        is_whole &= status(&mut client, "PUT", &end, rest).is_some_and(|(status, _)| status == 201);
    }
    let path = format!("/v2/app/manifests/{tag}");
    let pushed = status(&mut server.client(), "PUT", &path, &image.manifest);
    is_whole && pushed.is_some_and(|(status, _)| status == 201)
}

fn delete(server: &Server, image: &Image) -> bool {
    let path = format!("/v2/app/manifests/{}", image.digest());
    let deleted = status(&mut server.client(), "DELETE", &path, b"");
    deleted.is_some_and(|(status, _)| status == 202)
}

fn is_there(server: &Server, image: &Image) -> bool {
    let path = format!("/v2/app/manifests/{}", image.digest());
    server.client().get(&path).status == 200
}

/// Runs `registry verify`; returns whether there is no damage, and what it printed.
pub fn verified(directory: &Path) -> (bool, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_registry"))
        .args(["verify", "--dry-run", "--output", "json", "--data-dir"])
        .arg(directory)
        .output()
        .expect("a command");
    let printed = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    (output.status.success(), printed)
}

/// Asserts that nothing is damaged, and that recovery leaves no file behind.
pub fn assert_whole(directory: &Path, what: &str) {
    eventually(&format!("nothing is left after {what}"), || {
        let (is_sound, printed) = verified(directory);
        assert!(is_sound, "{what}: {printed}");
        printed["unknownFileCount"] == 0
    });
}

/// One round: a push and a deletion under faults, then without, then a crash. Reports whether any call failed.
fn round(
    server: &mut Server,
    before: &Image,
    image: &Image,
    calls: &str,
    error: &str,
    number: u32,
) -> bool {
    let what = format!("{error} at {calls} number {number}");
    let faults = Faults::begin(server.pid(), calls, error, number);
    let is_pushed = push(server, image, "new");
    let is_deleted = delete(server, before);
    let has_failed = faults.end();
    if is_pushed {
        image.assert_pulls(&mut server.client(), "app", "new");
    }
    assert!(!is_deleted || !is_there(server, before), "{what}");
    let (is_sound, printed) = verified(server.directory());
    assert!(is_sound, "{what}: {printed}");
    // it has not lost its way
    assert!(push(server, image, "new"), "{what}");
    assert!(
        !is_there(server, before) || delete(server, before),
        "{what}"
    );
    server.kill();
    server.restart();
    image.assert_pulls(&mut server.client(), "app", "new");
    assert!(!is_there(server, before), "{what}");
    assert_whole(server.directory(), &what);
    has_failed
}

#[test]
fn a_push_and_a_deletion_whose_system_calls_fail_leave_nothing_half_done() {
    if !has_strace() {
        return;
    }
    let mut server = Server::start();
    let image = |seed| {
        Image::new(
            &format!("{seed}"),
            vec![noise(seed, 300_000), noise(seed + 1, 500)],
        )
    };
    let mut before = image(0);
    assert!(push(&server, &before, "old"));
    let (mut seed, mut failed) = (0, 0);
    for calls in CALLS {
        for error in ERRORS {
            for number in numbers() {
                seed += 10;
                let next = image(seed);
                if !round(&mut server, &before, &next, calls, error, number) {
                    break;
                }
                failed += 1;
                before = next;
            }
        }
    }
    println!("{failed} faults");
    assert!(failed > 10, "only {failed} rounds had a fault");
}

/// Copies a data directory.
pub fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.expect("cp").success());
}

/// Prepares a collection of everything that nothing needs.
fn collect(directory: &Path) -> Vec<std::ffi::OsString> {
    let config = directory.with_extension("yml");
    let text = format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n",
        directory.display()
    );
    std::fs::write(&config, text).expect("a file");
    vec![
        env!("CARGO_BIN_EXE_registry").into(),
        "garbage-collect".into(),
        config.into(),
        "--delete-untagged".into(),
        "--quiet".into(),
    ]
}

fn run(mut command: Command, words: &[std::ffi::OsString]) -> bool {
    let command = command
        .args(words)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().expect("a command").success()
}

/// A stopped registry with one image that is needed and five that are not; returns its directory and the image.
fn with_garbage(temporary: &Path) -> (PathBuf, Image) {
    let directory = temporary.join("prepared");
    let mut server = Server::at(&directory, &[("REGISTRY_GC_ENABLED", "false")]);
    let image = |seed| Image::new(&format!("{seed}"), vec![noise(seed, 50_000)]);
    for seed in 0..6 {
        assert!(push(&server, &image(seed), &format!("v{seed}")));
        assert!(seed == 0 || delete(&server, &image(seed)));
    }
    server.stop();
    (directory, image(0))
}

pub fn blob_files(directory: &Path) -> usize {
    let shards = std::fs::read_dir(directory.join("blobs/sha256")).expect("a directory");
    let files = shards.map(|shard| {
        std::fs::read_dir(shard.expect("an entry").path())
            .expect("a shard")
            .count()
    });
    files.sum()
}

#[test]
fn a_collection_whose_system_calls_fail_leaves_nothing_half_done() {
    if !has_strace() {
        return;
    }
    let temporary = TempDir::new().expect("a directory");
    let (prepared, image) = with_garbage(temporary.path());
    assert_eq!(blob_files(&prepared), 12);
    let mut failed = 0;
    for calls in [
        "pwrite64",
        "fsync,fdatasync",
        "unlink,unlinkat",
        "openat,openat2",
        "ftruncate",
    ] {
        for error in ERRORS {
            for number in numbers() {
                let what = format!("{error} at {calls} number {number}");
                let round = TempDir::new().expect("a directory");
                let (directory, log) = (round.path().join("data"), round.path().join("log"));
                copy(&prepared, &directory);
                let words = collect(&directory);
                // whether it succeeds or not
                run(strace(&log, calls, error, number), &words);
                let (is_sound, printed) = verified(&directory);
                assert!(is_sound, "{what}: {printed}");
                assert!(run(Command::new("env"), &words), "{what}");
                assert_whole(&directory, &what);
                assert_eq!(blob_files(&directory), 2, "{what}");
                let server = Server::at(&directory, &[]);
                image.assert_pulls(&mut server.client(), "app", "v0");
                if !has_failed(&log) {
                    break;
                }
                failed += 1;
            }
        }
    }
    println!("{failed} faults");
    assert!(failed > 10, "only {failed} rounds had a fault");
}
