//! Writes that write less than they were asked to: whatever is stored, exported and copied is whole all the same.
//!
//! A library before the system's own cuts every write to a file in half.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::faults::{assert_whole, verified};
use crate::import::Store;
use crate::support::{Image, Server, announce_skipped, noise};

/// Minimum number of writes of the server, and of each command, that were cut.
const CUT: u64 = 10;

/// The library, and where it notes what it cuts.
struct ShortWrites {
    library: PathBuf,
    note: PathBuf,
}

impl ShortWrites {
    /// Compiles the library; `None` without a C compiler.
    fn compile(directory: &Path) -> Option<Self> {
        let library = directory.join("short_writes.so");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/short_writes.c"))
            .output();
        match compiled {
            Ok(output) => assert!(output.status.success(), "{output:?}"),
            Err(error) => {
                announce_skipped("short writes", &format!("cc: {error}"));
                return None;
            }
        }
        let note = directory.join("note");
        Some(Self { library, note })
    }

    fn environment(&self) -> [(&str, &str); 2] {
        [
            ("LD_PRELOAD", self.library.to_str().expect("text")),
            ("SHORT_WRITES", self.note.to_str().expect("text")),
        ]
    }

    /// Asserts that writes were cut since the last call.
    fn assert_cut(&self, what: &str) {
        let cut = fs::metadata(&self.note).map_or(0, |note| note.len());
        assert!(cut >= CUT, "{what}: {cut} writes were cut");
        fs::remove_file(&self.note).expect("removed");
    }

    /// Runs a command of the registry.
    fn run(&self, arguments: &[&str], paths: &[&Path], directory: &Path) {
        let output = Command::new(env!("CARGO_BIN_EXE_registry"))
            .args(arguments)
            .args(paths)
            .arg("--data-dir")
            .arg(directory)
            .envs(self.environment())
            .env("REGISTRY_STORAGE_RESERVE", "0")
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        self.assert_cut(arguments[0]);
    }
}

fn image(seed: u64) -> Image {
    Image::new(
        &format!("{seed}"),
        vec![noise(seed, 3_000_000), noise(100 + seed, 500)],
    )
}

#[test]
fn short_writes_leave_nothing_half_written() {
    let temporary = TempDir::new().expect("a directory");
    let path = |name: &str| temporary.path().join(name);
    let Some(short) = ShortWrites::compile(temporary.path()) else {
        return;
    };
    let data = path("data");
    let mut server = Server::at(&data, &short.environment());
    for seed in 0..3 {
        image(seed).push(&mut server.client(), "app", &format!("v{seed}"));
    }
    let gone = format!("/v2/app/manifests/{}", image(2).digest());
    assert_eq!(server.client().delete(&gone).status, 202);
    for seed in 0..2 {
        image(seed).assert_pulls(&mut server.client(), "app", &format!("v{seed}"));
    }
    server.stop();
    short.assert_cut("the server");
    assert_whole(&data, "short writes");

    let store = Store::new(&path("theirs"));
    store.image("old", "v3", &image(3));
    let archive = path("archive.tar");
    short.run(&["import", "--copy"], &[&path("theirs")], &data);
    short.run(&["export", "app:v0", "old:v3"], &[&archive], &data);
    short.run(&["import"], &[&archive], &path("second"));
    let elsewhere = TempDir::new_in("/dev/shm").expect("a directory");
    let backup = elsewhere.path().join("backup");
    short.run(&["backup"], &[&backup], &data);
    short.run(&["gc", "--now", "--yes"], &[], &data);
    for (directory, seeds) in [(data, [0, 1]), (path("second"), [0, 0]), (backup, [0, 1])] {
        let (is_sound, printed) = verified(&directory);
        assert!(is_sound, "{}: {printed}", directory.display());
        let server = Server::at(&directory, &[]);
        image(3).assert_pulls(&mut server.client(), "old", "v3");
        for seed in seeds {
            image(seed).assert_pulls(&mut server.client(), "app", &format!("v{seed}"));
        }
    }
}
