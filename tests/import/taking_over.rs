//! A sound store: everything in it is served as before, and nothing in it changes.

use std::os::unix::fs::MetadataExt;

use serde_json::json;

use super::{Store, checked, tags, taken_over};
use crate::support::{
    DOCKER_MANIFEST, Image, OCI_INDEX, OCI_MANIFEST, Server, descriptor, format_time, noise, sha256,
};

fn index(children: &[&[u8]], media_type: Option<&str>) -> Vec<u8> {
    let children: Vec<_> = children
        .iter()
        .map(|child| descriptor(OCI_MANIFEST, child))
        .collect();
    let mut index = json!({ "schemaVersion": 2, "manifests": children });
    if let Some(media_type) = media_type {
        index["mediaType"] = json!(media_type);
    }
    index.to_string().into_bytes()
}

#[test]
fn every_image_is_served_as_before_and_the_store_stays_as_it_is() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    let images: Vec<_> = (0..3).map(Image::small).collect();
    store.image("team/app", "v1", &images[0]);
    store.image("team/app/nested", "v1", &images[0]);
    let digest = store.image("plain", "v1", &images[1]);
    let before = store.snapshot();

    let server = taken_over(temporary.path());
    let mut client = server.client();
    assert_eq!(
        client.get("/v2/_catalog").json()["repositories"],
        json!(["plain", "team/app", "team/app/nested"])
    );
    images[0].assert_pulls(&mut client, "team/app", "v1");
    images[0].assert_pulls(&mut client, "team/app/nested", "v1");
    images[1].assert_pulls(&mut client, "plain", "v1");
    images[1].assert_pulls(&mut client, "plain", &digest);
    let line = checked(&server);
    assert!(
        line.contains("damaged=0") && line.contains("unreadable=0"),
        "{line}"
    );
    for file in server.blob_files() {
        let links = std::fs::metadata(&file).expect("metadata").nlink();
        assert_eq!(links, 2, "{} was copied", file.display());
    }
    // a push and a delete change nothing there either
    images[2].push(&mut client, "team/app", "v1");
    assert_eq!(client.delete("/v2/plain/manifests/v1").status, 202);
    assert_eq!(store.snapshot(), before);
    assert_no_damage(&server);
}

#[track_caller]
fn assert_no_damage(server: &Server) {
    let log = server.log();
    assert!(!log.contains("not taken over as it is"), "{log}");
}

#[test]
fn indexes_signatures_and_referrers_keep_their_ties() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    let (image, signature) = (Image::small(1), Image::small(2));
    let child = store.image("app", "amd64", &image);
    let list = index(&[&image.manifest], Some(OCI_INDEX));
    let untyped = index(&[&image.manifest], None);
    for (tag, bytes) in [("list", &list), ("untyped", &untyped)] {
        let digest = store.manifest("app", bytes);
        store.tag("app", tag, &digest);
    }
    let signed = format!("{}.sig", child.replace(':', "-"));
    store.image("app", &signed, &signature);
    store.layer("app", b"{}");
    let referrer = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.test",
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [], "subject": descriptor(OCI_MANIFEST, &image.manifest),
    });
    let referrer = store.manifest("app", referrer.to_string().as_bytes());

    let server = taken_over(temporary.path());
    let mut client = server.client();
    signature.assert_pulls(&mut client, "app", &signed);
    for (tag, bytes) in [("list", &list), ("untyped", &untyped)] {
        let answer = client.get(&format!("/v2/app/manifests/{tag}"));
        assert_eq!(&answer.body, bytes);
        assert_eq!(answer.header("content-type"), Some(OCI_INDEX), "{tag}");
    }
    let referrers = client.get(&format!("/v2/app/referrers/{child}")).json();
    assert_eq!(referrers["manifests"][0]["digest"], referrer.as_str());
    // a child of an index is held by it
    let refused = client.delete(&format!("/v2/app/manifests/{child}"));
    assert_eq!(refused.status, 405);
    assert_no_damage(&server);
}

#[test]
fn tags_keep_their_history_and_manifests_the_times_of_their_pushes() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    let images: Vec<_> = (0..3).map(Image::small).collect();
    let digests: Vec<_> = images
        .iter()
        .map(|image| store.image("app", "latest", image))
        .collect();
    // pushed again: the last target is the first one
    store.tag("app", "latest", &digests[0]);
    let written = |path: std::path::PathBuf| {
        let metadata = std::fs::metadata(path).expect("a link");
        format_time(metadata.modified().expect("a time"))
    };
    let times = [
        written(store.tag_path("app", "latest")),
        written(store.link_path("app", "_manifests/tags/latest/index", &digests[2])),
        written(store.link_path("app", "_manifests/tags/latest/index", &digests[1])),
    ];

    // history that ended longer ago than gc.history is forgotten as ever
    let server = Server::at(temporary.path(), &[("REGISTRY_GC_HISTORY", "876000h")]);
    super::wait_until_available(&server);
    let history = server.client().get("/v2/app/_oci/tag-history/latest");
    let history = String::from_utf8(history.body).expect("text");
    // newest first: each state with its digest and the time of its push
    let mut rest = history.as_str();
    for (digest, time) in [&digests[0], &digests[2], &digests[1]]
        .into_iter()
        .zip(&times)
    {
        for word in [digest, time] {
            let position = rest.find(word.as_str());
            assert!(position.is_some(), "{word} is not next in {history}");
        }
        rest = &rest[rest.find(digest.as_str()).expect("a digest") + 1..];
    }
    let listed = server.cli(&["ls", "--output", "json"]);
    let listed = String::from_utf8(listed.stdout).expect("text");
    let pushed = written(store.link_path("app", "_manifests/revisions", &digests[2]));
    assert!(listed.contains(&pushed), "{pushed} is not in {listed}");
}

/// Distribution stores a blob that was pushed with SHA-512 by its SHA-256, and links it by both.
#[test]
fn a_blob_with_another_name_in_its_repository_is_served_by_both() {
    use sha2::Digest as _;
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    let content = noise(5, 5000);
    let canonical = store.layer("app", &content);
    let long = format!(
        "sha512:{}",
        data_encoding::HEXLOWER.encode(&sha2::Sha512::digest(&content))
    );
    store.write(
        &store.link_path("app", "_layers", &long),
        canonical.as_bytes(),
    );
    store.image("app", "v1", &Image::small(1));
    let server = taken_over(temporary.path());
    for digest in [&canonical, &long] {
        let answer = server.client().get(&format!("/v2/app/blobs/{digest}"));
        assert_eq!(
            (answer.status, answer.body == content),
            (200, true),
            "{digest}"
        );
    }
    let line = checked(&server);
    assert!(line.contains("damaged=0"), "{line}");
}

#[test]
fn a_second_start_takes_nothing_over_again() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    store.image("app", "v1", &Image::small(1));
    let mut server = taken_over(temporary.path());
    assert_eq!(server.client().delete("/v2/app/manifests/v1").status, 202);
    server.stop();
    store.image("app", "v2", &Image::small(2));
    server.restart();
    let mut client = server.client();
    // available at once, and what was deleted stays deleted
    assert_eq!(client.get("/v2/").status, 200);
    client
        .get("/v2/app/manifests/v1")
        .refused(404, "MANIFEST_UNKNOWN");
    client
        .get("/v2/app/manifests/v2")
        .refused(404, "MANIFEST_UNKNOWN");
    assert_eq!(tags(&mut client, "app"), json!([]));
}

/// The directory's other file systems and owners cannot be had here; a type that was never seen can.
#[test]
fn manifests_of_docker_and_foreign_layers_are_taken_over() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    let config = store.layer("windows", b"config");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": DOCKER_MANIFEST,
        "config": { "mediaType": "application/vnd.docker.container.image.v1+json", "digest": config, "size": 6 },
        "layers": [{
            "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "digest": sha256(b"elsewhere"), "size": 9, "urls": ["https://example.com/layer"],
        }],
    });
    let manifest = manifest.to_string().into_bytes();
    let digest = store.manifest("windows", &manifest);
    store.tag("windows", "v1", &digest);
    let server = taken_over(temporary.path());
    let answer = server.client().get("/v2/windows/manifests/v1");
    assert_eq!(answer.header("content-type"), Some(DOCKER_MANIFEST));
    assert_eq!(answer.body, manifest);
    assert_no_damage(&server);
}

/// 5,000 images of 20 layers: `cargo test --release --test integration five_thousand -- --ignored --nocapture`.
#[test]
#[ignore = "takes a minute and 100,000 files; for measuring"]
fn five_thousand_images() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    for number in 0..5000_u64 {
        let layers = (0..20)
            .map(|layer| noise(number * 20 + layer, 300))
            .collect();
        let image = Image::new(&format!("image {number}"), layers);
        store.image(
            &format!("team{}/app", number / 10),
            &format!("v{number}"),
            &image,
        );
    }
    rustix::fs::sync();
    let begun = std::time::Instant::now();
    let server = Server::at(temporary.path(), &[]);
    // not within a minute on a slow disk
    while server.client().get("/v2/").status != 200 {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("text");
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    println!("{:?}, {}", begun.elapsed(), peak.unwrap_or_default());
    checked(&server);
    println!("checked after {:?}", begun.elapsed());
}
