//! The command line, with and without a running server.

mod completion;
mod configuration;
mod data_directory;
mod disk;
mod gc;
mod gc_now;
mod help;
mod hostile_text;
pub mod inspecting;
pub mod json;
mod listing;
mod mirror_config;
mod output;
mod policies;
mod program;
mod promotion;
mod removed;
mod removing;
mod restored_tags;
mod restoring;
mod tags;
mod uploads;
mod verify;
mod why;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Client, Image, OCI_INDEX, OCI_MANIFEST, Server, descriptor, noise, sha256};

/// Settings that collect unreferenced content within a second.
const FAST: [(&str, &str); 4] = [
    ("REGISTRY_GC_LEASE", "200ms"),
    ("REGISTRY_GC_GRACE", "200ms"),
    ("REGISTRY_GC_KEEPUNTAGGED", "200ms"),
    ("REGISTRY_GC_INTERVAL", "50ms"),
];

/// Adds `--yes`, because no terminal can confirm.
fn with_yes<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let yes: &[&str] = if arguments[0] == "rm" && !arguments.contains(&"--yes") {
        &["--yes"]
    } else {
        &[]
    };
    [arguments, yes].concat()
}

fn json(server: &Server, arguments: &[&str]) -> Value {
    let output = server.cli(&[&with_yes(arguments)[..], &["--output", "json"]].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn text(server: &Server, arguments: &[&str]) -> String {
    let output = server.cli(&with_yes(arguments));
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Pushes an index of two images that share a layer, and a signature of it; returns the index's
/// digest.
pub fn push_index(client: &mut Client) -> String {
    let shared = noise(1, 5000);
    let images = [
        Image::new("one", vec![shared.clone()]),
        Image::new("two", vec![shared, noise(2, 7000)]),
    ];
    let mut children = Vec::new();
    for (image, architecture) in images.iter().zip(["amd64", "arm64"]) {
        image.push(client, "team/app", &image.digest());
        let mut child = descriptor(OCI_MANIFEST, &image.manifest);
        child["platform"] = serde_json::json!({ "os": "linux", "architecture": architecture });
        children.push(child);
    }
    let index =
        serde_json::json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children })
            .to_string();
    assert_eq!(
        client
            .put_manifest("team/app", "v1", OCI_INDEX, index.as_bytes())
            .status,
        201
    );
    let signature = serde_json::json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.test.signature",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &images[0].config), "layers": [],
        "subject": descriptor(OCI_INDEX, index.as_bytes()),
    });
    let signature = signature.to_string();
    assert_eq!(
        client
            .put_manifest(
                "team/app",
                &sha256(signature.as_bytes()),
                OCI_MANIFEST,
                signature.as_bytes()
            )
            .status,
        201
    );
    sha256(index.as_bytes())
}

/// Pushes to a server with default leases, then restarts the directory with [`FAST`] and `more`
/// settings: a push must not race with its own lease.
fn with_fast_collection(
    more: &[(&str, &str)],
    push: impl FnOnce(&mut Client),
) -> (TempDir, Server) {
    let directory = TempDir::new().expect("a temporary directory");
    let data = directory.path().join("data");
    let mut patient = Server::at(&data, &[]);
    push(&mut patient.client());
    assert!(patient.stop().success());
    (directory, Server::at(&data, &[&FAST[..], more].concat()))
}

/// The one-line error of a refused command, with empty stdout.
fn refusal(server: &Server, arguments: &[&str]) -> String {
    let output = server.cli(arguments);
    let message = String::from_utf8(output.stderr).expect("text");
    assert_eq!(
        (output.status.code(), message.lines().count()),
        (Some(1), 1),
        "{arguments:?}: {message}"
    );
    assert!(
        output.stdout.is_empty(),
        "{arguments:?} printed besides: {}",
        String::from_utf8_lossy(&output.stdout)
    );
    message
}

fn texts(values: &Value) -> Vec<&str> {
    values
        .as_array()
        .expect("an array")
        .iter()
        .map(|value| value.as_str().expect("text"))
        .collect()
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("not a number: {value}"))
}

/// Total size of all blob files on disk, in bytes.
fn bytes_on_disk(server: &Server) -> u64 {
    // a file may be removed between listing and reading its size
    server
        .blob_files()
        .iter()
        .filter_map(|path| std::fs::metadata(path).ok())
        .map(|metadata| metadata.len())
        .sum()
}

#[test]
fn errors_are_one_sentence() {
    let server = Server::start();
    Image::small(1).push(&mut server.client(), "app", "v1");
    for arguments in [
        &["ls", "nobody"][..],
        &["inspect", "a:b"],
        &["inspect", "A/b"],
        &["rm", "a@sha256:1"],
        &["rm", "nobody"],
        &["rm", "nobody:latest"],
        &["rm", "nobody/*"],
        &["rm", "app:pr-*"],
        &["rm", "app:[a"],
        &["tag", "history", "app"],
        &["tag", "history", "app:v2"],
        &["tag", "restore", "app:v1"],
        &["tag", "restore", "app:v1", "--to", "yesterday"],
        &["tag", "restore", "app:v1", "--to", "sha256:1"],
        &["tag", "restore", "app:v1", "--to", "365d"],
        &["restore", "nobody"],
        &["restore", "app"],
        &["restore", "app:v1"],
        &["restore", "app:v2"],
        &["policy", "preview", "nobody"],
        &["policy", "preview", "nobody/**"],
        &["du", "nobody"],
        &["why", "nonsense"],
        &["uploads", "app:v1"],
        &["uploads", "rm", "nobody"],
    ] {
        refusal(&server, arguments);
    }
    let digest = sha256(b"unknown");
    for arguments in [
        &["why", &digest][..],
        &["restore", &format!("app@{digest}")],
        &["tag", "restore", "app:v1", "--to", &digest],
    ] {
        assert!(
            refusal(&server, arguments).contains(&digest),
            "{arguments:?}"
        );
    }
}

#[test]
fn every_command_has_help_and_completion() {
    let server = Server::start();
    for command in [
        &["tag"][..],
        &["tag", "history"],
        &["tag", "restore"],
        &["restore"],
        &["rm"],
        &["policy", "preview"],
        &["uploads"],
        &["uploads", "ls"],
        &["uploads", "rm"],
        &["du"],
        &["why"],
    ] {
        let help = std::process::Command::new(env!("CARGO_BIN_EXE_registry"))
            .args(command)
            .arg("--help")
            .output()
            .expect("help");
        assert!(
            help.status.success() && help.stdout.len() > 200,
            "{command:?}"
        );
    }
    let run = |words: &[&str]| server.cli(words).status.code();
    for spelling in ["list", "show", "delete", "remove", "undo"] {
        assert_eq!(run(&[spelling, "--help"]), Some(0), "{spelling}");
    }
    let script = std::process::Command::new(env!("CARGO_BIN_EXE_registry"))
        .args(["completions", "bash"])
        .output()
        .expect("a script");
    let script = String::from_utf8(script.stdout).expect("text");
    for word in ["history", "preview", "--dry-run", "du", "why"] {
        assert!(script.contains(word), "{word}");
    }
    drop(server);
}
