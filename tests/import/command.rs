//! `registry import DIRECTORY`: a store of `registry:2` elsewhere, imported beside a server, again and again.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{Store, tags};
use crate::support::{Image, Server, noise, sha256};

/// Prepares `registry import` into a data directory.
pub fn import(directory: &Path, source: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
    command.args(["import", "--output", "json", "--data-dir"]);
    command.arg(directory).args(flags).arg(source);
    // test machines may have less free disk than the reserve
    command.env("REGISTRY_STORAGE_RESERVE", "0");
    command
}

/// Runs it; returns the exit code and the report.
#[track_caller]
pub fn imported(directory: &Path, source: &Path, flags: &[&str]) -> (i32, Value) {
    let output = import(directory, source, flags).output().expect("it runs");
    (output.status.code().expect("a code"), report(&output))
}

#[track_caller]
pub(super) fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// Asserts that nothing was new.
#[track_caller]
pub(super) fn assert_nothing_new(report: &Value) {
    assert_eq!(report["repositories"], json!([]), "{report}");
    assert_eq!(report["blobCount"], 0, "{report}");
}

#[track_caller]
pub fn assert_verified(directory: &Path) {
    let (code, report) = verified(directory);
    assert_eq!(code, 0, "{report}");
}

/// Runs `registry verify`; returns the exit code and the report.
#[track_caller]
pub fn verified(directory: &Path) -> (i32, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_registry"))
        .args(["verify", "--output", "json", "--data-dir"])
        .arg(directory)
        .output()
        .expect("it runs");
    (output.status.code().expect("a code"), report(&output))
}

/// A store with an image in three repositories, and one of its own in another.
pub(super) fn store(root: &Path) -> (Store, Vec<Image>) {
    let store = Store::new(root);
    let images: Vec<_> = (0..3).map(Image::small).collect();
    store.image("team/app", "v1", &images[0]);
    store.image("team/app/nested", "v1", &images[0]);
    store.image("other", "v1", &images[1]);
    (store, images)
}

#[test]
fn images_are_served_at_once_and_the_second_run_finds_nothing_new() {
    let source = tempfile::TempDir::new().expect("a directory");
    let (store, images) = store(source.path());
    let before = store.snapshot();
    let server = Server::start();
    images[2].push(&mut server.client(), "mine", "v1");
    let (code, report) = imported(server.directory(), source.path(), &[]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["problems"], json!([]));
    assert_eq!(
        (&report["blobCount"], &report["linkedCount"]),
        (&json!(4), &json!(4))
    );
    assert_eq!(report["checkedCount"], 4);
    let mut client = server.client();
    images[0].assert_pulls(&mut client, "team/app", "v1");
    images[0].assert_pulls(&mut client, "team/app/nested", "v1");
    images[1].assert_pulls(&mut client, "other", &images[1].digest());
    images[2].assert_pulls(&mut client, "mine", "v1");
    let linked = server
        .blob_files()
        .iter()
        .filter(|file| file.metadata().expect("metadata").nlink() == 2)
        .count();
    assert_eq!(linked, 4);
    for root in [source.path().to_owned(), store.path()] {
        let (code, report) = imported(server.directory(), &root, &[]);
        assert_eq!(code, 0, "{report}");
        assert_nothing_new(&report);
    }
    assert_eq!(store.snapshot(), before);
    assert_verified(server.directory());
}

/// `--copy` shares no file with the source; a data directory is made where there is none.
#[test]
fn copies_outlive_the_source() {
    let source = tempfile::TempDir::new().expect("a directory");
    let (_, images) = store(source.path());
    let target = tempfile::TempDir::new().expect("a directory");
    let directory = target.path().join("new");
    let (code, report) = imported(&directory, source.path(), &["--copy"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["linkedCount"], 0, "{report}");
    assert_eq!(report["copiedSize"], report["size"], "{report}");
    drop(source);
    let server = Server::at(&directory, &[]);
    images[0].assert_pulls(&mut server.client(), "team/app", "v1");
    for file in server.blob_files() {
        let metadata = file.metadata().expect("metadata");
        assert_eq!((metadata.nlink(), metadata.mode() & 0o777), (1, 0o400));
    }
    assert_verified(&directory);
}

#[test]
fn repositories_are_selected_renamed_and_planned() {
    let source = tempfile::TempDir::new().expect("a directory");
    let (_, images) = store(source.path());
    let target = tempfile::TempDir::new().expect("a directory");
    let directory = target.path().join("new");
    let flags = [
        "--only",
        "team/**",
        "--map",
        "team/app=app",
        "--map",
        "team/**=old/**",
    ];
    let planning = [&flags[..], &["--dry-run"]].concat();
    let (code, plan) = imported(&directory, source.path(), &planning);
    assert_eq!((code, &plan["dryRun"]), (0, &json!(true)), "{plan}");
    let shown = Command::new(env!("CARGO_BIN_EXE_registry"))
        .args(["import", "--data-dir"])
        .arg(&directory)
        .args(&planning)
        .arg(source.path())
        .output()
        .expect("it runs");
    let shown = String::from_utf8_lossy(&shown.stdout);
    let rows: Vec<Vec<_>> = shown
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert!(
        rows.contains(&vec!["old/app/nested", "1", "1", "2"]),
        "{shown}"
    );
    assert!(!directory.exists(), "a plan made the data directory");
    let (code, report) = imported(&directory, source.path(), &flags);
    assert_eq!((code, &report["dryRun"]), (0, &json!(false)), "{report}");
    let new = json!([
        { "repository": "app", "tagCount": 1, "manifestCount": 1, "blobCount": 2 },
        { "repository": "old/app/nested", "tagCount": 1, "manifestCount": 1, "blobCount": 2 },
    ]);
    assert_eq!(
        (&plan["repositories"], &report["repositories"]),
        (&new, &new)
    );
    for key in ["blobCount", "size"] {
        assert_eq!(plan[key], report[key], "{key}");
    }
    let server = Server::at(&directory, &[]);
    let mut client = server.client();
    images[0].assert_pulls(&mut client, "app", "v1");
    images[0].assert_pulls(&mut client, "old/app/nested", "v1");
    let catalog = client.get("/v2/_catalog").json();
    assert_eq!(catalog["repositories"], json!(["app", "old/app/nested"]));
    let (_, plan) = imported(&directory, source.path(), &planning);
    assert_nothing_new(&plan);
}

#[test]
fn a_flag_that_fits_nothing_is_named() {
    let source = tempfile::TempDir::new().expect("a directory");
    store(source.path());
    let target = tempfile::TempDir::new().expect("a directory");
    let directory = target.path().join("new");
    let flags = [
        "--only",
        "teem/**",
        "--only",
        "other",
        "--map",
        "old=new",
        "--map",
        "a/**=b/**",
    ];
    let output = import(&directory, source.path(), &flags)
        .output()
        .expect("it runs");
    let sentence = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{sentence}");
    let named = "nothing in the source fits --only teem/** and --map old=new and --map a/**=b/**: \
                 it has other, team/app, team/app/nested";
    assert!(sentence.contains(named), "{sentence}");
    let report = report(&output);
    assert_eq!(
        report["unmatched"],
        json!(["--only teem/**", "--map old=new", "--map a/**=b/**"])
    );
    assert_eq!(report["repositories"][0]["repository"], "other");
}

/// The old registry works on between two imports, and so do people here.
#[test]
fn tags_follow_the_source_unless_they_were_changed_here() {
    let source = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(source.path());
    let images: Vec<_> = (0..6).map(Image::small).collect();
    for tag in ["moves", "changed", "deleted", "both", "gone-on-both"] {
        store.image("app", tag, &images[0]);
    }
    let server = Server::start();
    let mut client = server.client();
    images[5].push(&mut client, "app", "mine");
    store.image("app", "mine", &images[0]);
    let (code, report) = imported(server.directory(), source.path(), &[]);
    let problem = |report: &Value, number: usize| {
        let problem = &report["problems"][number];
        let path = problem["path"].as_str().expect("a path").to_owned();
        assert_eq!(problem["outcome"], "stays as it is here");
        path.rsplit('/').next().expect("a name").to_owned()
    };
    assert_eq!(
        (code, problem(&report, 0).as_str()),
        (3, "mine"),
        "{report}"
    );

    images[1].push(&mut client, "app", "changed");
    images[1].push(&mut client, "app", "both");
    for tag in ["deleted", "gone-on-both"] {
        assert_eq!(
            client.delete(&format!("/v2/app/manifests/{tag}")).status,
            202
        );
    }
    for image in &images[2..4] {
        store.image("app", "moves", image);
    }
    for tag in ["both", "gone-on-both", "new"] {
        store.image("app", tag, &images[4]);
    }
    let (code, report) = imported(server.directory(), source.path(), &[]);
    assert_eq!(code, 3, "{report}");
    let kept: Vec<_> = (0..3).map(|number| problem(&report, number)).collect();
    assert_eq!(kept, ["both", "gone-on-both", "mine"], "{report}");
    assert_eq!(report["repositories"][0]["tagCount"], 2, "{report}");
    for (tag, image) in [
        ("moves", 3),
        ("changed", 1),
        ("both", 1),
        ("new", 4),
        ("mine", 5),
    ] {
        images[image].assert_pulls(&mut client, "app", tag);
    }
    assert_eq!(
        tags(&mut client, "app"),
        json!(["both", "changed", "mine", "moves", "new"])
    );
    assert_moved(&server, &images, &report);
    // asked for, everything is as in the source again
    let (code, report) = imported(server.directory(), source.path(), &["--move-tags"]);
    assert_eq!(code, 0, "{report}");
    for (tag, image) in [
        ("changed", 0),
        ("both", 4),
        ("deleted", 0),
        ("gone-on-both", 4),
        ("mine", 0),
    ] {
        images[image].assert_pulls(&mut client, "app", tag);
    }
}

/// Checks that `moves` is named, and that the targets between two imports are history.
fn assert_moved(server: &Server, images: &[Image], report: &Value) {
    let history = server.cli(&["tag", "history", "app:moves", "--output", "json"]);
    let history: Value = serde_json::from_slice(&history.stdout).expect("JSON");
    let digests: Vec<_> = history["states"]
        .as_array()
        .expect("states")
        .iter()
        .map(|state| state["digest"].as_str().expect("a digest").to_owned())
        .collect();
    let expected: Vec<_> = [3, 2, 0]
        .map(|number: usize| images[number].digest())
        .into();
    assert_eq!(digests, expected, "{history}");
    let moved: Vec<_> = report["moved"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|tag| tag["tag"].clone())
        .collect();
    assert_eq!(moved, ["moves"], "{report}");
}

#[test]
fn immutable_tags_stay() {
    let source = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(source.path());
    let images: Vec<_> = (0..2).map(Image::small).collect();
    store.image("app", "v1", &images[0]);
    let target = tempfile::TempDir::new().expect("a directory");
    let configuration = target.path().join("config.yml");
    std::fs::write(
        &configuration,
        "version: 0.1\nstorage: {reserve: 0}\npolicies: [{repositories: '**', immutable: ['v*']}]\n",
    )
    .expect("a file");
    let directory = target.path().join("data");
    let flags = ["--config", configuration.to_str().expect("text")];
    assert_eq!(imported(&directory, source.path(), &flags).0, 0);
    store.image("app", "v1", &images[1]);
    let (code, report) = imported(&directory, source.path(), &flags);
    let problem = report["problems"][0]["problem"].as_str().expect("text");
    assert!(code == 3 && problem.contains("is immutable"), "{report}");
    let server = Server::at(&directory, &[]);
    images[0].assert_pulls(&mut server.client(), "app", "v1");
}

/// Stores an image that is sound, and three of which a layer is short, altered and missing, beside an empty tag.
fn damaged_images(store: &Store) -> [Image; 4] {
    let sound = Image::small(1);
    store.image("app", "sound", &sound);
    let image = |seed| Image::new("x", vec![noise(seed, 3000), noise(seed + 1, 3000)]);
    let (short, altered, missing) = (image(10), image(20), image(30));
    for (tag, image) in [
        ("short", &short),
        ("altered", &altered),
        ("missing", &missing),
    ] {
        store.image("app", tag, image);
    }
    let path = |image: &Image| store.blob_path(&sha256(&image.layers[0]));
    store.write(&path(&short), &short.layers[0][..100]);
    let mut bytes = altered.layers[0].clone();
    bytes[1000] ^= 1;
    store.write(&path(&altered), &bytes);
    std::fs::remove_file(path(&missing)).expect("removed");
    store.write(&store.tag_path("app", "empty"), b"");
    [sound, short, altered, missing]
}

/// Each kind is named, again each time, and stops nothing; altered blobs are found by either way.
#[test]
fn damage_is_named_and_left_out() {
    for flags in [&[][..], &["--copy"]] {
        let source = tempfile::TempDir::new().expect("a directory");
        let store = Store::new(source.path());
        let [sound, short, altered, missing] = damaged_images(&store);
        let before = store.snapshot();
        let server = Server::start();
        for round in 0..2 {
            let (code, report) = imported(server.directory(), source.path(), flags);
            assert_eq!(code, 3, "{report}");
            let text = report.to_string();
            let is_first = round == 0;
            for (digest, reason) in [
                (
                    sha256(&short.layers[0]),
                    "is not the content that its digest says",
                ),
                (sha256(&missing.layers[0]), "is missing"),
                (sha256(&missing.layers[0]), "an image with a gap"),
            ] {
                let is_named =
                    report["problems"]
                        .as_array()
                        .expect("a list")
                        .iter()
                        .any(|problem| {
                            let problem = problem["problem"].as_str().expect("text");
                            problem.contains(&digest) && problem.contains(reason)
                        });
                assert!(is_named, "{digest} {reason}: {text}");
            }
            assert!(text.contains("the link is empty"), "{text}");
            let digest = sha256(&altered.layers[0]);
            assert!(text.contains(&digest), "{text}");
            if is_first && flags.is_empty() {
                let blob = &report["damagedBlobs"][0];
                assert_eq!(blob["digest"], digest.as_str(), "{report}");
                assert_eq!(blob["images"][0]["tags"], json!(["altered"]), "{report}");
            } else {
                // what is known to be damaged is not served once more until it has been compared
                assert_eq!(report["damagedBlobs"], json!([]), "{report}");
                assert!(is_first || report["blobCount"] == 0, "{report}");
            }
        }
        let mut client = server.client();
        sound.assert_pulls(&mut client, "app", "sound");
        for image in [&short, &altered, &missing] {
            let blob = format!("/v2/app/blobs/{}", sha256(&image.layers[0]));
            client.get(&blob).refused(404, "BLOB_UNKNOWN");
        }
        // mended there, it comes
        store.layer("app", &missing.layers[0]);
        imported(server.directory(), source.path(), flags);
        missing.assert_pulls(&mut client, "app", "missing");
        assert_ne!(store.snapshot(), before);
    }
}

/// Such a config is found wherever it is: another image may have it as a layer.
#[test]
fn images_with_configs_that_no_push_would_bring_are_named_and_left_out() {
    let source = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(source.path());
    let config = br#"{"config":{"Cmd":["a"]},"Config":{"Cmd":["b"]}}"#.to_vec();
    let sound = Image::new("sound", vec![config.clone()]);
    store.image("app", "sound", &sound);
    for number in 0..5 {
        let image = Image::small(number).with_config(config.clone());
        store.image("app", &format!("v{number}"), &image);
    }
    let server = Server::start();
    for _ in 0..2 {
        let (code, report) = imported(server.directory(), source.path(), &[]);
        let problems = report["problems"].as_array().expect("a list");
        let refused = problems.iter().filter(|problem| {
            let problem = problem["problem"].as_str().expect("text");
            problem.contains(&sha256(&config)) && problem.contains("is not accepted")
        });
        assert_eq!((code, refused.count()), (3, 5), "{report}");
        let mut client = server.client();
        sound.assert_pulls(&mut client, "app", "sound");
        let list = client.get("/v2/app/tags/list").json();
        assert_eq!(list["tags"], json!(["sound"]));
    }
}

#[test]
fn wrong_sources_are_refused() {
    let source = tempfile::TempDir::new().expect("a directory");
    let target = tempfile::TempDir::new().expect("a directory");
    let directory = target.path().join("new");
    let output = import(&directory, source.path(), &[])
        .output()
        .expect("it runs");
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        message.contains("is neither the directory of a registry:2"),
        "{message}"
    );
    assert!(!directory.exists());
    let output = import(&directory, &target.path().join("no.tar"), &[]).output();
    let message = String::from_utf8_lossy(&output.expect("it runs").stderr).into_owned();
    assert!(
        message.contains("No such file") && !message.contains("run "),
        "{message}"
    );
    let output = import(&directory, source.path(), &["--map", "a/**=b"]).output();
    assert_eq!(output.expect("it runs").status.code(), Some(2));
}
