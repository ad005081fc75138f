//! Faults at system calls of imports and backups: each is repeated without one, and nothing that was there is lost.
//!
//! As in [`super::faults`], `FAULTS=all` goes on until nothing fails any more.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::faults::{
    ERRORS, assert_whole, blob_files, copy, has_failed, has_strace, is_whole_run, numbers, strace,
    verified,
};
use crate::import::Store;
use crate::import::command::{import, imported};
use crate::support::{Image, Server, noise};

/// As there, not `write`.
const CALLS: [&str; 11] = [
    "pwrite64",
    "writev",
    "fsync,fdatasync,syncfs",
    "linkat",
    "rename,renameat,renameat2",
    "unlink,unlinkat",
    "openat,openat2",
    "mkdir,mkdirat",
    "ftruncate",
    "fallocate",
    "fchmod,fchown",
];

/// A directory on another file system than temporary ones.
const OTHER: &str = "/dev/shm";

/// One fault of a command.
struct Fault {
    calls: &'static str,
    error: &'static str,
    number: u32,
    log: PathBuf,
}

impl Fault {
    /// Runs the command with it; returns the exit code.
    fn strike(&self, command: &Command) -> Option<i32> {
        let words: Vec<OsString> = [command.get_program()]
            .into_iter()
            .chain(command.get_args())
            .map(ToOwned::to_owned)
            .collect();
        strace(&self.log, self.calls, self.error, self.number)
            .args(words)
            .env("REGISTRY_STORAGE_RESERVE", "0")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("strace")
            .code()
    }

    fn name(&self) -> String {
        format!("{} at {} number {}", self.error, self.calls, self.number)
    }
}

/// Goes through the faults of a command, with a new directory for each; returns how many struck.
fn with_each_fault(round: impl Fn(&Fault, &Path)) -> usize {
    let mut struck = 0;
    for (position, calls) in CALLS.into_iter().enumerate() {
        let errors = match is_whole_run() {
            true => &ERRORS[..],
            false => &ERRORS[position % 2..][..1],
        };
        for error in errors {
            for number in numbers() {
                let temporary = TempDir::new().expect("a directory");
                let fault = Fault {
                    calls,
                    error,
                    number,
                    log: temporary.path().join("log"),
                };
                round(&fault, temporary.path());
                if !has_failed(&fault.log) {
                    break;
                }
                struck += 1;
            }
        }
    }
    struck
}

fn image(seed: u64) -> Image {
    Image::new(
        &format!("{seed}"),
        vec![noise(seed, 3000), noise(1000 + seed, 500)],
    )
}

/// Counts tags, each of an image of three blobs.
fn tags(directory: &Path) -> usize {
    let database = rusqlite::Connection::open(directory.join("registry.db")).expect("the database");
    let count = database.query_row("SELECT count(*) FROM tags", [], |row| row.get(0));
    count.expect("a number")
}

fn assert_sound(directory: &Path, what: &str) {
    let (is_sound, printed) = verified(directory);
    assert!(is_sound, "{what}: {printed}");
}

fn succeeds(mut command: Command) {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
}

/// Imports three images beside one that is there.
fn import_with_faults(flags: &[&str]) {
    let temporary = TempDir::new().expect("a directory");
    let (prepared, source) = (
        temporary.path().join("prepared"),
        temporary.path().join("source"),
    );
    let mut server = Server::at(&prepared, &[]);
    image(0).push(&mut server.client(), "own", "v1");
    server.stop();
    let store = Store::new(&source);
    for seed in 1..4 {
        store.image(&format!("app{seed}"), "v1", &image(seed));
    }
    let before = store.snapshot();
    let faults = with_each_fault(|fault, round| {
        let (directory, what) = (round.join("data"), fault.name());
        copy(&prepared, &directory);
        let code = fault.strike(&import(&directory, &source, flags));
        // images are there without the blobs that could not be read, and are named
        let (_, printed) = verified(&directory);
        assert_eq!(printed["findingCount"], 0, "{what}: {printed}");
        assert!(code != Some(0) || tags(&directory) == 4, "{what}");
        let (code, report) = imported(&directory, &source, flags);
        assert_eq!(code, 0, "{what}: {report}");
        assert_eq!(tags(&directory), 4, "{what}");
        let mut collect = Command::new(env!("CARGO_BIN_EXE_registry"));
        collect.args(["gc", "--data-dir"]).arg(&directory);
        succeeds(collect);
        assert_whole(&directory, &what);
        assert_eq!(blob_files(&directory), 12, "{what}");
    });
    assert_eq!(store.snapshot(), before, "the source was changed");
    println!("import {flags:?}: {faults} faults");
    assert!(faults > 10, "only {faults} rounds had a fault");
}

#[test]
fn an_import_whose_system_calls_fail_leaves_nothing_half_done() {
    if has_strace() {
        import_with_faults(&[]);
        import_with_faults(&["--copy"]);
    }
}

fn back_up(data: &Path, to: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    command.arg("backup").arg(to).arg("--data-dir").arg(data);
    // test machines may have less free disk than the reserve
    command.env("REGISTRY_STORAGE_RESERVE", "0");
    command
}

/// A registry with four images, and a backup with two of them and one that is deleted; returns both directories.
fn with_backup(temporary: &Path) -> (PathBuf, PathBuf) {
    let (data, earlier) = (temporary.join("data"), temporary.join("earlier"));
    let mut server = Server::at(&data, &[]);
    let mut client = server.client();
    for seed in 0..3 {
        image(seed).push(&mut client, "app", &format!("v{seed}"));
    }
    succeeds(back_up(&data, &earlier));
    client.delete("/v2/app/manifests/v0");
    for seed in 3..5 {
        image(seed).push(&mut client, "app", &format!("v{seed}"));
    }
    server.stop();
    (data, earlier)
}

fn backup_with_faults(place: &Path, earlier: Option<&Path>, data: &Path) {
    let faults = with_each_fault(|fault, _| {
        let (disk, what) = (TempDir::new_in(place).expect("a directory"), fault.name());
        let to = disk.path().join("backup");
        if let Some(earlier) = earlier {
            copy(earlier, &to);
        }
        let code = fault.strike(&back_up(data, &to));
        if to.join("registry.db").exists() {
            // what could not be read is left out, and named
            if code != Some(3) {
                assert_sound(&to, &what);
            }
            let images = tags(&to);
            assert!(images == 4 || earlier.is_some() && images == 3, "{what}");
            assert!(code != Some(0) || images == 4, "{what}");
        } else {
            assert!(earlier.is_none() && code != Some(0), "{what}");
        }
        succeeds(back_up(data, &to));
        assert_whole(&to, &what);
        assert_eq!(tags(&to), 4, "{what}");
        // a deleted image stays for its grace period
        assert_eq!(blob_files(&to), 15, "{what}");
        assert!(!to.join("registry.db.partial").exists(), "{what}");
    });
    assert_sound(data, "the registry itself");
    println!("backup to {}: {faults} faults", place.display());
    assert!(faults > 10, "only {faults} rounds had a fault");
}

#[test]
fn a_backup_whose_system_calls_fail_leaves_the_one_before_whole() {
    if !has_strace() {
        return;
    }
    let temporary = TempDir::new().expect("a directory");
    let (data, earlier) = with_backup(temporary.path());
    backup_with_faults(Path::new(OTHER), Some(&earlier), &data);
    if is_whole_run() {
        backup_with_faults(temporary.path(), Some(&earlier), &data);
    }
}

#[test]
fn a_first_backup_whose_system_calls_fail_leaves_nothing_half_done() {
    if has_strace() {
        let temporary = TempDir::new().expect("a directory");
        let (data, _) = with_backup(temporary.path());
        backup_with_faults(Path::new(OTHER), None, &data);
    }
}
