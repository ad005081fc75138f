//! Healing by an import, refusals of one, and its plan.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::command::{assert_nothing_new, assert_verified, imported, report, store, verified};
use crate::support::{Server, sha256};

/// Runs `registry import` for a person.
fn shown(directory: &Path, source: &Path, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_registry"))
        .args(["import", "--data-dir"])
        .arg(directory)
        .args(flags)
        .arg(source)
        .env("REGISTRY_STORAGE_RESERVE", "0")
        .output()
        .expect("it runs")
}

/// Manifests altered in the database and blobs damaged on the disk come again from the source, and are named.
#[test]
fn an_import_heals_what_is_damaged_here() {
    let source = tempfile::TempDir::new().expect("a directory");
    let (_, images) = store(source.path());
    let layout = tempfile::TempDir::new().expect("a directory");
    let archive = layout.path().join("app.tar");
    let server = Server::start();
    imported(server.directory(), source.path(), &["--copy"]);
    let exported = server.cli(&["export", "team/app:v1", archive.to_str().expect("text")]);
    assert!(exported.status.success(), "{exported:?}");
    let (manifest, layer) = (images[0].digest(), sha256(&images[0].layers[0]));
    for from in [source.path(), &*archive] {
        let database = rusqlite::Connection::open(server.directory().join("registry.db"));
        let altered = database.expect("the database").execute(
            "UPDATE manifest_bytes SET bytes = CAST('{}' AS BLOB) WHERE manifest_id =
                 (SELECT manifests.id FROM manifests JOIN repositories ON repositories.id = repository_id
                  WHERE digest = ?1 AND name = 'team/app')",
            [&manifest],
        );
        assert_eq!(altered, Ok(1));
        let hex = layer.trim_start_matches("sha256:");
        let file = format!("blobs/sha256/{}/{hex}", &hex[..2]);
        std::fs::remove_file(server.directory().join(file)).expect("removed");
        assert_eq!(verified(server.directory()).0, 1);
        let client = &mut server.client();
        client
            .get("/v2/team/app/manifests/v1")
            .refused(404, "MANIFEST_UNKNOWN");

        let healed = json!([
            { "kind": "blob", "repository": null, "digest": layer },
            { "kind": "manifest", "repository": "team/app", "digest": manifest },
        ]);
        let sorted = |report: &Value| {
            let mut pieces = report["healed"].as_array().expect("a list").clone();
            pieces.sort_by_key(|piece| piece["kind"].to_string());
            Value::from(pieces)
        };
        let (_, plan) = imported(server.directory(), from, &["--dry-run"]);
        assert_eq!(sorted(&plan), healed, "{plan}");
        let (code, report) = imported(server.directory(), from, &[]);
        assert_eq!(code, 0, "{report}");
        assert_eq!(sorted(&report), healed, "{report}");
        assert_eq!(report["blobCount"], 1, "{report}");
        images[0].assert_pulls(client, "team/app", "v1");
        assert_verified(server.directory());
        let (code, report) = imported(server.directory(), from, &[]);
        assert_eq!((code, &report["healed"]), (0, &json!([])), "{report}");
    }
}

/// One would overwrite the other, each run anew: nothing is written.
#[test]
fn tags_that_would_overwrite_each_other_are_refused() {
    let source = tempfile::TempDir::new().expect("a directory");
    let (store, images) = store(source.path());
    // the same image under the same tag is no collision
    store.image("other", "same", &images[0]);
    store.image("team/app", "same", &images[0]);
    let target = tempfile::TempDir::new().expect("a directory");
    let directory = target.path().join("new");
    let flags = ["--map", "team/app=app", "--map", "other=app"];
    for planned in [&["--dry-run"][..], &[]] {
        let (code, report) = imported(&directory, source.path(), &[&flags[..], planned].concat());
        assert_eq!(code, 1, "{report}");
        let expected = json!([
            { "repository": "app", "tag": "v1", "sources": ["other", "team/app"] }
        ]);
        assert_eq!(report["collisions"], expected, "{report}");
        assert_nothing_new(&report);
    }
    let output = shown(&directory, source.path(), &flags);
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        out.contains("app:v1 would come from other and from team/app"),
        "{out}"
    );
    assert!(
        err.contains("nothing was imported") && err.contains("--map"),
        "{err}"
    );
    let server = Server::at(&directory, &[]);
    assert_eq!(
        server.client().get("/v2/_catalog").json()["repositories"],
        json!([])
    );
    assert_eq!(server.blob_files(), Vec::<std::path::PathBuf>::new());
    let only = [&flags[..], &["--only", "other"]].concat();
    let (code, report) = imported(&directory, source.path(), &only);
    assert_eq!(code, 0, "{report}");
    images[1].assert_pulls(&mut server.client(), "app", "v1");
}

/// They stop nothing, wherever they lie.
#[test]
fn foreign_files_are_named() {
    let source = tempfile::TempDir::new().expect("a directory");
    let (store, images) = store(source.path());
    let blob = store.blob_path(&sha256(&images[0].layers[0]));
    let shard = blob.ancestors().nth(2).expect("a shard");
    let foreign = [
        source.path().join("docker/registry/x"),
        store.path().join("x"),
        store.path().join("blobs/x"),
        store.path().join("blobs/sha256/00file"),
        shard.join("x"),
        store.repository("other").join("_manifests/bar"),
        store.repository("other").join("bar"),
    ];
    for path in &foreign {
        std::fs::write(path, "").expect("a file");
    }
    let link = store.path().join("link");
    std::os::unix::fs::symlink("nowhere", &link).expect("a link");
    let server = Server::start();
    for flags in [&["--dry-run"][..], &[]] {
        let (code, report) = imported(server.directory(), source.path(), flags);
        assert_eq!(code, 3, "{report}");
        let problems = report["problems"].as_array().expect("a list");
        let named = |path: &Path| {
            problems
                .iter()
                .any(|problem| problem["path"] == path.to_str().expect("text"))
        };
        for path in foreign.iter().chain([&link]) {
            assert!(named(path), "{} is not in {report}", path.display());
        }
        assert_eq!(problems.len(), foreign.len() + 1, "{report}");
    }
    images[0].assert_pulls(&mut server.client(), "team/app", "v1");
}

/// The plan compares no blob with its digest, and says so.
#[test]
fn a_plan_says_what_it_does_not_compare() {
    let source = tempfile::TempDir::new().expect("a directory");
    store(source.path());
    let target = tempfile::TempDir::new().expect("a directory");
    let directory = target.path().join("new");
    let (_, plan) = imported(&directory, source.path(), &["--dry-run"]);
    assert_eq!(
        (&plan["uncomparedCount"], &plan["blobCount"]),
        (&json!(4), &json!(4)),
        "{plan}"
    );
    let shown = shown(&directory, source.path(), &["--dry-run"]);
    let shown = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.contains("has not compared 4 blobs"), "{shown}");
    let (_, report) = imported(&directory, source.path(), &[]);
    assert_eq!(
        (&report["uncomparedCount"], &report["checkedCount"]),
        (&json!(0), &json!(4)),
        "{report}"
    );
}

/// Another user's directory is named, and the rest comes.
#[test]
fn a_directory_that_may_not_be_read_is_named_and_stops_nothing() {
    use std::os::unix::fs::{PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    if !rustix::process::geteuid().is_root() {
        return crate::support::announce_skipped("a directory of another user", "root is required");
    }
    let directory = tempfile::TempDir::new().expect("a directory");
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    };
    mode(directory.path(), 0o755);
    let (source, data) = (
        directory.path().join("source"),
        directory.path().join("data"),
    );
    std::fs::create_dir(&data).expect("a directory");
    chown(&data, Some(65534), Some(65534)).expect("given");
    let program = directory.path().join("registry");
    std::fs::copy(env!("CARGO_BIN_EXE_registry"), &program).expect("a copy");
    mode(&program, 0o755);
    let (store, images) = store(&source);
    let closed = store.repository("other").join("_layers");
    mode(&closed, 0o700);
    let run = || {
        let mut command = Command::new(&program);
        command.args(["import", "--output", "json", "--data-dir"]);
        command.arg(&data).arg(&source).uid(65534).gid(65534);
        command.env("REGISTRY_STORAGE_RESERVE", "0");
        command.output().expect("it runs")
    };
    let output = run();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let named = report(&output)["problems"]
        .as_array()
        .expect("a list")
        .iter()
        .any(|problem| {
            problem["path"] == closed.to_str().expect("text")
                && problem["problem"].to_string().contains("may not be read")
        });
    assert!(named, "{output:?}");
    // a source that may not be read at all is not taken for an empty one
    let root = store.path().join("repositories");
    mode(&root, 0o700);
    let output = run();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    mode(&root, 0o755);
    let server = Server::at(&data, &[]);
    images[0].assert_pulls(&mut server.client(), "team/app", "v1");
}
