//! Exports that are killed or interrupted: what was there before stays whole, and the next export cleans up.

use std::fs;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{assert_whole, export, files_in, files_of};
use crate::crash::random::Random;
use crate::support::{Image, Server, eventually, noise};

/// Number of kills for each kind of destination.
const KILLS: u64 = 25;

fn push(server: &Server) {
    let mut client = server.client();
    for seed in 0..8 {
        let layers = vec![noise(seed, 200_000), noise(100, 1000)];
        Image::new(&format!("image {seed}"), layers).push(&mut client, "app", &format!("v{seed}"));
    }
}

fn begin(server: &Server, destination: &str) -> Child {
    let mut command = server.cli_command(&["export", "app", destination]);
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("it runs")
}

/// Reads the layout at a destination; `None` if there is nothing.
fn layout_at(path: &Path) -> Option<super::Files> {
    if path.is_dir() {
        return Some(files_in(path));
    }
    Some(files_of(&fs::read(path).ok()?))
}

#[test]
fn a_kill_at_any_moment_leaves_a_whole_export_or_none() {
    let server = Server::start();
    push(&server);
    let directory = tempfile::tempdir().expect("a directory");
    let mut random = Random::new(Random::seed_from("EXPORT_SEED"));
    for name in ["a.tar", "layout"] {
        let path = directory.path().join(name);
        let destination = path.display().to_string();
        let begun = Instant::now();
        export(&server, &["app:v1", &destination]);
        export(&server, &["app", &destination]);
        let whole = begun.elapsed();
        fs::rename(&path, directory.path().join("reference")).expect("moved");
        let mut ends = [0; 2];
        for _ in 0..KILLS {
            let micros = u64::try_from(whole.as_micros()).expect("a short time");
            let mut child = begin(&server, &destination);
            let moment = Instant::now() + Duration::from_micros(random.below(micros));
            while Instant::now() < moment && child.try_wait().expect("a child").is_none() {
                std::hint::spin_loop();
            }
            child.kill().expect("it is killed");
            child.wait().expect("it ends");
            let found = layout_at(&path);
            ends[usize::from(found.is_some())] += 1;
            if let Some(files) = found {
                assert_whole(&files);
            }
        }
        println!("{name}: {ends:?} without and with an export");
        export(&server, &["app", &destination]);
        let reference = layout_at(&directory.path().join("reference"));
        assert_eq!(layout_at(&path), reference);
        let _ = fs::remove_file(directory.path().join("reference"));
        let _ = fs::remove_dir_all(directory.path().join("reference"));
        let _ = fs::remove_file(&path);
        let _ = fs::remove_dir_all(&path);
        let left: Vec<_> = directory.path().read_dir().expect("a directory").collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Asks an export to end while it writes; `None` if it was faster.
fn interrupt(server: &Server, directory: &Path, name: &str, signal: Signal) -> Option<Output> {
    let path = directory.join(name).display().to_string();
    let staging = directory.join(format!(".{name}.partial"));
    let mut command = server.cli_command(&["export", "app", &path]);
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it runs");
    eventually("it has begun", || {
        staging.exists() || child.try_wait().expect("a child").is_some()
    });
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process"), signal).expect("it is asked to end");
    let output = child.wait_with_output().expect("it ends");
    (!output.status.success()).then_some(output)
}

/// An export that is asked to end, as with Ctrl-C, leaves nothing at all.
#[test]
fn an_interrupted_export_leaves_nothing() {
    let server = Server::start();
    let mut client = server.client();
    let layers = (0..3).map(|seed| noise(seed, 8_000_000)).collect();
    Image::new("large", layers).push(&mut client, "app", "v1");
    for (signal, name) in [(Signal::INT, "a.tar"), (Signal::TERM, "layout")] {
        let output = (0..50).find_map(|_| {
            let directory = tempfile::tempdir().expect("a directory");
            let output = interrupt(&server, directory.path(), name, signal)?;
            let left = directory.path().read_dir().expect("a directory").count();
            assert_eq!(left, 0);
            Some(output)
        });
        let output = output.expect("one of them is interrupted");
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("it was interrupted"), "{said}");
    }
}
