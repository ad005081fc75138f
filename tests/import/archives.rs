//! Image layouts and archives of images: imported under their names or a given one, damage named, traps refused.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use super::command::{assert_verified, import, imported, verified};
use super::tar::{Tar, gzip};
use crate::support::{
    DOCKER_MANIFEST, Image, OCI_INDEX, OCI_MANIFEST, Server, descriptor, noise, sha256,
};

const MARK: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Files of an image layout by path, lists last.
pub fn layout(images: &[(&Image, Value)]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut entries = Vec::new();
    for (image, annotations) in images {
        for blob in image.layers.iter().chain([&image.config, &image.manifest]) {
            files.push((path(blob), blob.clone()));
        }
        let mut entry = descriptor(OCI_MANIFEST, &image.manifest);
        entry["annotations"] = annotations.clone();
        entries.push(entry);
    }
    files.push(("index.json".to_owned(), index(entries)));
    files.push(("oci-layout".to_owned(), MARK.to_vec()));
    files
}

fn path(blob: &[u8]) -> String {
    format!("blobs/{}", sha256(blob).replace(':', "/"))
}

fn index(entries: Vec<Value>) -> Vec<u8> {
    json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries })
        .to_string()
        .into_bytes()
}

pub fn named(name: &str) -> Value {
    json!({ "io.containerd.image.name": name })
}

pub fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = Tar::default();
    for (name, content) in files {
        tar.file(name, content);
    }
    tar.end()
}

fn directory(root: &Path, files: &[(String, Vec<u8>)]) {
    for (name, content) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, content).expect("a file");
    }
}

/// Runs `registry import -` on the archive; returns the exit code and the report.
#[track_caller]
fn piped(directory: &Path, archive: &[u8], flags: &[&str]) -> (i32, Value) {
    let output = fed(directory, archive, flags);
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code().expect("a code"), report)
}

fn fed(directory: &Path, archive: &[u8], flags: &[&str]) -> Output {
    let mut command = import(directory, Path::new("-"), &[]);
    let mut child = command
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    // one that refuses the archive reads no further
    let _ = input.write_all(archive);
    drop(input);
    child.wait_with_output().expect("it ends")
}

#[test]
fn an_archive_on_standard_input_is_imported_under_its_names() {
    let images: Vec<_> = (0..3).map(Image::small).collect();
    let archive = archive(&layout(&[
        (&images[0], named("old.lan:5000/team/app:v1")),
        (&images[1], named("docker.io/library/alpine:3")),
        (
            &images[2],
            json!({ "org.opencontainers.image.ref.name": "team/other:v2" }),
        ),
    ]));
    let server = Server::start();
    let (code, plan) = piped(server.directory(), &archive, &["--dry-run"]);
    assert_eq!(code, 0, "{plan}");
    assert_eq!(server.blob_files().len(), 0);
    let (code, report) = piped(server.directory(), &archive, &[]);
    assert_eq!((code, &report["problems"]), (0, &json!([])), "{report}");
    assert_eq!(plan["repositories"], report["repositories"]);
    let mut client = server.client();
    images[0].assert_pulls(&mut client, "team/app", "v1");
    images[1].assert_pulls(&mut client, "alpine", "3");
    images[2].assert_pulls(&mut client, "team/other", "v2");
    for input in [archive.clone(), gzip(&archive)] {
        let (code, report) = piped(server.directory(), &input, &[]);
        assert_eq!((code, &report["repositories"]), (0, &json!([])), "{report}");
    }
    // what is asked for is done, whatever was pushed here since
    images[2].push(&mut client, "team/app", "v1");
    piped(server.directory(), &archive, &["--move-tags"]);
    images[0].assert_pulls(&mut client, "team/app", "v1");
    assert_eq!(server.upload_files(), Vec::<std::path::PathBuf>::new());
    assert_verified(server.directory());
}

#[test]
fn a_layout_in_a_directory_is_linked_or_copied() {
    let image = Image::small(1);
    let bare = json!({ "org.opencontainers.image.ref.name": "v1" });
    let source = tempfile::TempDir::new().expect("a directory");
    directory(source.path(), &layout(&[(&image, bare)]));
    for (flags, links) in [(&[][..], 2), (&["--copy"], 1)] {
        let server = Server::start();
        // a tag alone names no repository
        let (code, report) = imported(server.directory(), source.path(), flags);
        let problem = report["problems"][0]["problem"].as_str().expect("text");
        assert!(
            code == 3 && problem.contains("no repository's name"),
            "{report}"
        );
        let mut command = import(server.directory(), source.path(), flags);
        let output = command.arg("team/app").output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
        let mut command = import(server.directory(), source.path(), flags);
        let output = command.arg("team/app:stable").output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
        for tag in ["v1", "stable"] {
            image.assert_pulls(&mut server.client(), "team/app", tag);
        }
        for file in server.blob_files() {
            assert_eq!(file.metadata().expect("metadata").nlink(), links);
        }
        assert_verified(server.directory());
    }
}

/// As docker before 25, podman and skopeo write it: no manifest, layers without compression, repeated ones as links.
#[test]
fn saved_images_without_a_manifest_get_one() {
    let layers = [noise(1, 3000), noise(2, 2000), gzip(b"layer")];
    let config = json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers" } });
    let config = config.to_string().into_bytes();
    let config_name = format!("{}.json", sha256(&config).replace("sha256:", ""));
    let mut tar = Tar::default();
    tar.file("first/VERSION", b"1.0");
    tar.file("first/layer.tar", &layers[0]);
    tar.symlink("again/layer.tar", "../first/layer.tar");
    tar.file("./second/layer.tar", &layers[1]);
    tar.file("third.tar.gz", &layers[2]);
    tar.file(&config_name, &config);
    let list = json!([
        { "Config": config_name, "RepoTags": ["app:v1", "localhost/team/app:v2"],
          "Layers": ["first/layer.tar", "again/layer.tar", "second/layer.tar", "third.tar.gz"] },
        { "Config": "missing.json", "RepoTags": ["lost:v1"], "Layers": [] },
    ]);
    tar.file("manifest.json", list.to_string().as_bytes());
    let archive = tar.end();
    let server = Server::start();
    let (code, report) = piped(server.directory(), &archive, &[]);
    assert_eq!(code, 3, "{report}");
    let lost = report["problems"][0]["path"].as_str().expect("a path");
    assert!(lost.ends_with("missing.json"), "{report}");
    let mut client = server.client();
    let answer = client.get("/v2/app/manifests/v1");
    assert_eq!(answer.header("content-type"), Some(DOCKER_MANIFEST));
    let manifest = answer.json();
    assert_eq!(manifest["config"]["digest"], sha256(&config).as_str());
    let expected = [&layers[0], &layers[0], &layers[1], &layers[2]];
    for (number, layer) in expected.into_iter().enumerate() {
        let found = &manifest["layers"][number];
        assert_eq!(found["digest"], sha256(layer).as_str());
        assert_eq!(found["size"], layer.len());
        let kind = found["mediaType"].as_str().expect("text");
        assert_eq!(kind.ends_with(".gzip"), number == 3, "{kind}");
        let blob = client.get(&format!("/v2/team/app/blobs/{}", sha256(layer)));
        assert!(blob.body == *layer);
    }
    assert_eq!(client.get("/v2/team/app/manifests/v2").body, answer.body);
    // the same every time
    let (_, report) = piped(server.directory(), &archive, &[]);
    assert_eq!(report["repositories"], json!([]), "{report}");
    assert_verified(server.directory());
}

/// An index with a child, a signature's tag, and a referrer that no tool has named.
#[test]
fn indexes_and_referrers_come_along() {
    let image = Image::small(1);
    let list = index(vec![descriptor(OCI_MANIFEST, &image.manifest)]);
    let referrer = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.test",
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [], "subject": descriptor(OCI_MANIFEST, &image.manifest),
    });
    let referrer = referrer.to_string().into_bytes();
    let signature = format!("{}.sig", image.digest().replace(':', "-"));
    let mut listed = descriptor(OCI_INDEX, &list);
    listed["annotations"] = named("team/app:v1");
    let mut signed = descriptor(OCI_MANIFEST, &image.manifest);
    signed["annotations"] = json!({ "io.tarkeep.name": format!("team/app:{signature}") });
    let mut files: Vec<_> = layout(&[(&image, json!({}))]);
    files.retain(|(name, _)| name.starts_with("blobs/"));
    for blob in [&list, &referrer, &b"{}".to_vec()] {
        files.push((path(blob), blob.clone()));
    }
    let unnamed = descriptor(OCI_MANIFEST, &referrer);
    files.push((
        "index.json".to_owned(),
        index(vec![unnamed, listed, signed]),
    ));
    let server = Server::start();
    let (code, report) = piped(server.directory(), &archive(&files), &[]);
    assert_eq!((code, &report["problems"]), (0, &json!([])), "{report}");
    let mut client = server.client();
    assert_eq!(client.get("/v2/team/app/manifests/v1").body, list);
    image.assert_pulls(&mut client, "team/app", &image.digest());
    image.assert_pulls(&mut client, "team/app", &signature);
    let referrers = client.get(&format!("/v2/team/app/referrers/{}", image.digest()));
    let found = &referrers.json()["manifests"][0]["digest"];
    assert_eq!(found, sha256(&referrer).as_str());
    // under another name, all of it goes there
    let (code, _) = piped(server.directory(), &archive(&files), &["moved"]);
    assert_eq!(code, 0);
    image.assert_pulls(&mut client, "moved", &signature);
    assert_eq!(client.get("/v2/moved/manifests/v1").body, list);
}

#[test]
fn damage_in_an_archive_is_named_and_stops_nothing() {
    let sound = Image::small(1);
    let image = |seed| Image::new("x", vec![noise(seed, 3000), noise(seed + 1, 3000)]);
    let (altered, missing, broken) = (image(10), image(20), image(30));
    let mut files = layout(&[
        (&altered, named("app:altered")),
        (&missing, named("app:missing")),
        (&broken, named("app:broken")),
        (&sound, named("app:sound")),
        (&Image::small(2), named("App:upper")),
    ]);
    let at = path(&missing.layers[0]);
    files.retain(|(name, _)| *name != at);
    for (name, content) in &mut files {
        if *name == path(&altered.layers[0]) || *name == path(&broken.manifest) {
            content[10] ^= 1;
        }
    }
    let server = Server::start();
    let (code, report) = piped(server.directory(), &archive(&files), &[]);
    assert_eq!(code, 3, "{report}");
    let text = report.to_string();
    for reason in [
        format!("the blob {} is not the content", sha256(&altered.layers[0])),
        format!("names {}, which", sha256(&missing.layers[0])),
        format!("the blob {} is missing", broken.digest()),
        "is not a repository name".to_owned(),
    ] {
        assert!(text.contains(&reason), "{reason} is not in {text}");
    }
    let mut client = server.client();
    sound.assert_pulls(&mut client, "app", "sound");
    assert_eq!(
        super::tags(&mut client, "app"),
        json!(["altered", "missing", "sound"])
    );
    for image in [&altered, &missing] {
        let blob = format!("/v2/app/blobs/{}", sha256(&image.layers[0]));
        client.get(&blob).refused(404, "BLOB_UNKNOWN");
    }
    let (code, report) = verified(server.directory());
    assert_eq!(
        (code, &report["findingCount"], &report["incompleteCount"]),
        (3, &json!(0), &json!(2))
    );
}

#[test]
fn manifests_that_no_push_would_bring_are_left_out_and_named() {
    let image = Image::small(1);
    let text = String::from_utf8(image.manifest.clone()).expect("text");
    let deep = format!(r#"{{"x":{}{},"#, "[".repeat(200), "]".repeat(200));
    for manifest in [
        text.replacen('{', r#"{"Layers":[],"#, 1),
        text.replacen('{', r#"{"layers":[],"#, 1),
        text.replacen(OCI_MANIFEST, "text/html", 1),
        text.replacen('{', &deep, 1),
    ] {
        let image = Image {
            manifest: manifest.into_bytes(),
            ..image.clone()
        };
        let server = Server::start();
        let archive = archive(&layout(&[(&image, named("team/app:v1"))]));
        let (code, report) = piped(server.directory(), &archive, &[]);
        let problems = report["problems"].as_array().map(Vec::len);
        assert_eq!((code, problems), (3, Some(1)), "{report}");
        let list = server.client().get("/v2/team/app/tags/list");
        list.refused(404, "NAME_UNKNOWN");
    }
}

/// Returns a list that takes two gigabytes to parse and to report.
fn many_parts() -> String {
    let entries = r#"{"digest":""},"#.repeat(1_100_000);
    format!(r#"{{"schemaVersion":2,"manifests":[{entries}{{"digest":""}}]}}"#)
}

/// Clients in Go take `Config` for `config`: a push of such an image is refused too.
#[test]
fn images_with_configs_that_no_push_would_bring_are_left_out_and_named() {
    let config = br#"{"config":{"Cmd":["a"]},"Config":{"Cmd":["b"]}}"#;
    let image = Image::small(1).with_config(config.to_vec());
    let files = layout(&[(&image, named("team/app:v1"))]);
    let source = tempfile::TempDir::new().expect("a directory");
    directory(source.path(), &files);
    for is_piped in [true, false] {
        let server = Server::start();
        // the second time, the config may be here
        for _ in 0..2 {
            let (code, report) = if is_piped {
                piped(server.directory(), &archive(&files), &[])
            } else {
                imported(server.directory(), source.path(), &[])
            };
            let problem = report["problems"][0]["problem"].as_str().expect("text");
            let is_named = problem.contains(&sha256(config)) && problem.contains("is not accepted");
            assert!(code == 3 && is_named, "{report}");
            let list = server.client().get("/v2/team/app/tags/list");
            list.refused(404, "NAME_UNKNOWN");
        }
    }
}

#[test]
fn archives_made_to_hurt_are_refused() {
    let image = Image::small(1);
    let whole = archive(&layout(&[(&image, named("app:v1"))]));
    let only = |name: &str, content: &[u8]| archive(&[(name.to_owned(), content.to_vec())]);
    let header = |name: &str, kind: u8, size: u64| {
        let mut tar = Tar::default();
        tar.header(name, kind, "", size);
        tar.unfinished()
    };
    let server = Server::with(&[]);
    for (archive, reason) in [
        (b"hello ".repeat(1000), "no tar archive"),
        (Vec::new(), "ends early"),
        (whole[..whole.len() / 2].to_vec(), "ends early"),
        (gzip(&whole)[..500].to_vec(), "cannot read the archive"),
        (only("notes.txt", b"none"), "lists no images"),
        (only("index.json", b"[1"), "is not a list of images"),
        (only("manifest.json", b"{}"), "is not a list of images"),
        (
            only("index.json", &vec![b'['; 1 << 20]),
            "is not a list of images",
        ),
        (only("index.json", many_parts().as_bytes()), "many parts"),
        (header("index.json", b'0', 1 << 40), "more than is read"),
        (header("long", b'L', 1 << 40), "more than 64 KiB"),
        (header("pax", b'x', 1 << 30), "more than 64 KiB"),
        (header("l", b'L', 0).repeat(200_001), "200,000 entries"),
        (header("a", b'0', 0).repeat(3), "ends early"),
        (header("blobs/x", b'0', u64::MAX), "impossible size"),
        (header("a", b'S', 0), "sparse"),
        (
            header("d/", b'5', 0).repeat(200_001),
            "more than 200,000 entries",
        ),
        (
            [&[0x28, 0xb5, 0x2f, 0xfd][..], &whole].concat(),
            "decompress it first",
        ),
    ] {
        let output = fed(server.directory(), &archive, &[]);
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(message.contains(reason), "'{reason}' is not in {message}");
        assert_eq!(output.status.code(), Some(1), "{reason}");
        assert_eq!(server.upload_files(), Vec::<std::path::PathBuf>::new());
    }
    // nobody's disk is full because a header says so
    let hex = "a".repeat(64);
    let huge = header(&format!("blobs/sha256/{hex}"), b'0', 1 << 60);
    let huge = [huge, noise(1, 1 << 20)].concat();
    for flags in [&["--dry-run"][..], &[]] {
        let output = fed(server.directory(), &huge, flags);
        let message = String::from_utf8_lossy(&output.stderr);
        let held = format!(
            "states a size of {} bytes, but holds {}",
            1_u64 << 60,
            1 << 20
        );
        assert!(message.contains(&held), "{message}");
        assert_eq!(server.upload_files(), Vec::<std::path::PathBuf>::new());
    }
    let (code, _) = piped(server.directory(), &whole, &[]);
    assert_eq!(code, 0);
    image.assert_pulls(&mut server.client(), "app", "v1");
    assert_verified(server.directory());
}

/// Archives that are packed tightly, or repeat entries, take what they state and no more.
#[test]
fn bombs_and_repeated_entries_are_bounded() {
    let server = Server::start();
    let zeros = vec![0; 64 << 20];
    let mut tar = Tar::default();
    tar.header("index.json", b'0', "", 1 << 30);
    let bomb = gzip(&[tar.unfinished(), zeros.clone()].concat());
    assert!(bomb.len() < 1 << 20);
    let output = fed(server.directory(), &bomb, &[]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("more than is read"), "{message}");
    // each blob is stored once, and the last list counts
    let (image, other) = (Image::small(1), Image::small(2));
    let mut files = layout(&[(&other, named("app:v2"))]);
    files.extend(layout(&[(&image, named("app:v1"))]));
    files.extend(layout(&[(&image, named("app:v1"))]));
    files.push(("none".to_owned(), zeros));
    let (code, report) = piped(server.directory(), &gzip(&archive(&files)), &[]);
    assert_eq!((code, &report["problems"]), (0, &json!([])), "{report}");
    assert_eq!(super::tags(&mut server.client(), "app"), json!(["v1"]));
    image.assert_pulls(&mut server.client(), "app", "v1");
    let stored: u64 = server
        .blob_files()
        .iter()
        .map(|file| file.metadata().expect("metadata").len())
        .sum();
    assert!(stored < 1 << 20, "{stored} bytes");
    assert_verified(server.directory());
}

/// Names in an archive are never opened: neither written nor followed.
#[test]
fn paths_and_links_lead_nowhere() {
    let secret = tempfile::NamedTempFile::new().expect("a file");
    fs::write(secret.path(), b"secret").expect("written");
    let secret_path = secret.path().to_str().expect("text");
    let target = tempfile::TempDir::new().expect("a directory");
    let trap = target.path().join("trap");
    let mut tar = Tar::default();
    tar.symlink("config.json", secret_path);
    tar.symlink("up.tar", "../../../../etc/passwd");
    tar.symlink("round.tar", "round.tar");
    tar.header("hard.json", b'1', secret_path, 0);
    tar.file(trap.to_str().expect("text"), b"written");
    tar.file("../../trap.tar", b"written");
    let list = json!([
        { "Config": "config.json", "RepoTags": ["a:v1"], "Layers": [] },
        { "Config": "round.tar", "RepoTags": ["b:v1"], "Layers": ["up.tar"] },
        { "Config": secret_path, "RepoTags": ["c:v1"], "Layers": [] },
        { "Config": "hard.json", "RepoTags": ["d:v1"], "Layers": [] },
    ]);
    tar.file("manifest.json", list.to_string().as_bytes());
    let (code, report) = piped(&target.path().join("data"), &tar.end(), &[]);
    assert_eq!(code, 3, "{report}");
    assert_eq!(report["problems"].as_array().expect("a list").len(), 4);
    assert_eq!(report["repositories"], json!([]));
    assert!(!trap.exists());
}

#[test]
fn one_tag_fits_one_image() {
    let images: Vec<_> = (0..2).map(Image::small).collect();
    let archive = archive(&layout(&[
        (&images[0], named("a:v1")),
        (&images[1], named("b:v1")),
    ]));
    let server = Server::start();
    let output = fed(server.directory(), &archive, &["app:v1"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        message.contains("name a repository without a tag"),
        "{message}"
    );
    for flags in [&["--only", "b"][..], &["--map", "b=c"]] {
        assert_eq!(piped(server.directory(), &archive, flags).0, 0);
    }
    let catalog = server.client().get("/v2/_catalog").json();
    assert_eq!(catalog["repositories"], json!(["a", "b", "c"]));
}

/// From one registry to another, as `registry export … - | ssh HOST registry import -` does it.
#[test]
fn what_is_exported_is_imported_again_as_it_was() {
    let (from, to) = (Server::start(), Server::start());
    let mut client = from.client();
    let image = Image::small(1);
    image.push(&mut client, "team/app", "v1");
    let list = index(vec![descriptor(OCI_MANIFEST, &image.manifest)]);
    client.put_manifest("team/app", "all", OCI_INDEX, &list);
    let signature = format!("{}.sig", image.digest().replace(':', "-"));
    Image::small(2).push(&mut client, "team/app", &signature);
    client.push_blob("team/app", b"{}");
    let referrer = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.test",
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [], "subject": descriptor(OCI_MANIFEST, &image.manifest),
    });
    let referrer = referrer.to_string().into_bytes();
    let pushed = client.put_manifest("team/app", &sha256(&referrer), OCI_MANIFEST, &referrer);
    assert_eq!(pushed.status, 201);
    let exported = from.cli(&["export", "team/app:v1", "team/app:all", "-"]);
    assert!(exported.status.success(), "{exported:?}");
    let (code, report) = piped(to.directory(), &exported.stdout, &[]);
    assert_eq!((code, &report["problems"]), (0, &json!([])), "{report}");
    let mut client = to.client();
    image.assert_pulls(&mut client, "team/app", "v1");
    Image::small(2).assert_pulls(&mut client, "team/app", &signature);
    assert_eq!(client.get("/v2/team/app/manifests/all").body, list);
    let referrers = client.get(&format!("/v2/team/app/referrers/{}", image.digest()));
    let found = &referrers.json()["manifests"][0]["digest"];
    assert_eq!(found, sha256(&referrer).as_str());
    assert_verified(to.directory());
}

/// Repeated imports need nobody, and what was pushed here is not overwritten unasked.
#[test]
fn a_tag_that_was_pushed_here_moves_only_if_that_is_asked_for() {
    let images: Vec<_> = (0..4).map(Image::small).collect();
    let of = |image: &Image| archive(&layout(&[(image, named("app:v1"))]));
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(piped(server.directory(), &of(&images[0]), &[]).0, 0);
    let (code, report) = piped(server.directory(), &of(&images[1]), &["--dry-run"]);
    let moved = json!([{
        "repository": "app", "tag": "v1", "was": images[0].digest(), "digest": images[1].digest(),
    }]);
    assert_eq!((code, &report["moved"]), (0, &moved), "{report}");
    images[0].assert_pulls(&mut client, "app", "v1");
    let (code, report) = piped(server.directory(), &of(&images[1]), &[]);
    assert_eq!((code, &report["moved"]), (0, &moved), "{report}");
    images[1].assert_pulls(&mut client, "app", "v1");

    images[2].push(&mut client, "app", "v1");
    let (code, report) = piped(server.directory(), &of(&images[3]), &[]);
    let problem = &report["problems"][0];
    assert_eq!(
        (code, &problem["path"], &problem["outcome"]),
        (3, &json!("app:v1"), &json!("stays as it is here")),
        "{report}"
    );
    assert!(
        problem["problem"]
            .as_str()
            .is_some_and(|text| text.contains("--move-tags")),
        "{report}"
    );
    images[2].assert_pulls(&mut client, "app", "v1");
    let output = {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_registry"));
        let file = server.directory().join("../app.tar");
        std::fs::write(&file, of(&images[3])).expect("a file");
        command
            .args(["import", "--move-tags", "--data-dir"])
            .arg(server.directory())
            .arg(file)
            .output()
            .expect("it runs")
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success()
            && said.contains(&format!(
                "moved app:v1 from {} to {}",
                images[2].digest(),
                images[3].digest()
            ))
            && said.contains("registry tag restore"),
        "{output:?}"
    );
    images[3].assert_pulls(&mut client, "app", "v1");

    // what was removed here loses nothing by an import that names it
    assert_eq!(client.delete("/v2/app/manifests/v1").status, 202);
    assert_eq!(piped(server.directory(), &of(&images[2]), &[]).0, 0);
    images[2].assert_pulls(&mut client, "app", "v1");
}
