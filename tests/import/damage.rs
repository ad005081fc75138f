//! A damaged store: each kind of damage is named, nothing stops, and what does not fit is not served.

use std::fs;

use serde_json::json;

use super::{Store, checked, tags, taken_over};
use crate::load::memory;
use crate::support::{Image, OCI_MANIFEST, Server, descriptor, noise, sha256};

/// Asserts that a line of the log names a path and a reason.
#[track_caller]
fn named(server: &Server, path: &std::path::Path, reason: &str) {
    let (log, path) = (server.log(), path.display().to_string());
    let is_named = log
        .lines()
        .any(|line| line.contains(&path) && line.contains(reason));
    assert!(is_named, "'{reason}' of {path} is not in the log");
}

#[test]
fn damaged_manifests_and_tags_are_named_and_left_out() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    let sound = Image::small(1);
    store.image("app", "sound", &sound);
    let mut expected = Vec::new();
    let mut damaged = |tag: &str, digest: &str, reason: &'static str| {
        store.revision("app", digest);
        store.tag("app", tag, digest);
        let path = store.link_path("app", "_manifests/revisions", digest);
        expected.push((path, reason));
        let path = store.tag_path("app", tag);
        let path = path.parent().and_then(|path| path.parent()).expect("a tag");
        expected.push((path.to_owned(), "is not in the repository"));
    };
    let missing = sha256(b"missing");
    damaged("missing", &missing, "is missing");
    let empty = sha256(b"empty");
    store.write(&store.blob_path(&empty), b"");
    damaged("empty", &empty, "the manifest is empty");
    let altered = sha256(b"altered");
    store.write(&store.blob_path(&altered), &sound.manifest);
    damaged("altered", &altered, "not the one that names it");
    damaged("text", &store.blob(b"no JSON"), "is not accepted");
    let schema_1 = json!({ "schemaVersion": 1, "name": "app", "fsLayers": [], "history": [] });
    damaged(
        "schema1",
        &store.blob(schema_1.to_string().as_bytes()),
        "schema 1",
    );
    damaged(
        "large",
        &store.blob(&vec![b' '; 5 << 20]),
        "more than this registry accepts",
    );

    let before = store.snapshot();

    let server = taken_over(temporary.path());
    let mut client = server.client();
    for (path, reason) in &expected {
        named(&server, path, reason);
    }
    assert_eq!(tags(&mut client, "app"), json!(["sound"]));
    sound.assert_pulls(&mut client, "app", "sound");
    for digest in [&missing, &empty, &altered] {
        let answer = client.get(&format!("/v2/app/manifests/{digest}"));
        answer.refused(404, "MANIFEST_UNKNOWN");
    }
    assert_eq!(store.snapshot(), before);
}

#[test]
fn links_and_names_that_are_wrong_are_named_and_left_out() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    store.image("app", "sound", &Image::small(1));
    let mut expected = Vec::new();
    for (tag, content, reason) in [
        ("emptylink", "", "the link is empty"),
        ("malformed", "latest", "does not hold a digest"),
    ] {
        store.write(&store.tag_path("app", tag), content.as_bytes());
        expected.push((store.tag_path("app", tag), reason));
    }
    for (path, folder, reason) in [
        ("app/_manifests/tags/untargeted", "", "no target"),
        ("app/_manifests/tags/-bad", "", "is not a tag"),
        ("Upper", "_manifests", "is not a repository name"),
    ] {
        let path = store.repository(path);
        fs::create_dir_all(path.join(folder)).expect("a folder");
        expected.push((path, reason));
    }
    let long = "x".repeat(300);
    for (tag, target, reason) in [
        ("circle", "link", "levels of symbolic links"),
        ("long", &long, "File name too long"),
    ] {
        let path = store.tag_path("app", tag);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::os::unix::fs::symlink(target, &path).expect("a link");
        expected.push((path, reason));
    }
    let stray = store.repository("app").join("notes.txt");
    store.write(&stray, b"mine");
    expected.push((stray, "belongs to no store"));
    let link = store.repository("alias");
    std::os::unix::fs::symlink(store.repository("app"), &link).expect("a link");
    expected.push((link, "symbolic link"));

    let server = taken_over(temporary.path());
    let mut client = server.client();
    for (path, reason) in &expected {
        named(&server, path, reason);
    }
    assert_eq!(tags(&mut client, "app"), json!(["sound"]));
    assert_eq!(
        client.get("/v2/_catalog").json()["repositories"],
        json!(["app"])
    );
}

/// `registry:2` stores what it does not understand, and many manifests are read at once.
#[test]
fn manifests_of_very_many_parts_take_little_memory() {
    const MOST_KIB: u64 = 400 << 10;
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    store.image("app", "sound", &Image::small(1));
    let parts = vec![r#"{"":0}"#; 500_000].join(",");
    let mut large = Vec::new();
    for number in 0..16 {
        let manifest = format!(r#"{{"schemaVersion":2,"x":[{number},{parts}]}}"#);
        let repository = format!("large/{number}");
        let digest = store.manifest(&repository, manifest.as_bytes());
        large.push(store.link_path(&repository, "_manifests/revisions", &digest));
    }
    let server = taken_over(temporary.path());
    for path in &large {
        named(&server, path, "too many parts");
    }
    let peak = memory(&server, "VmHWM");
    assert!(peak < MOST_KIB, "{peak} KiB");
    assert_eq!(tags(&mut server.client(), "app"), json!(["sound"]));
}

/// Its links are lost, but their paths and the digests of the content tell what they said.
#[test]
fn empty_links_of_sound_content_are_mended() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    let image = Image::small(1);
    let digest = store.image("app", "v1", &image);
    let links = [
        store.link_path("app", "_manifests/revisions", &digest),
        store.link_path("app", "_layers", &sha256(&image.layers[0])),
    ];
    links.iter().for_each(|link| store.write(link, b""));
    let server = taken_over(temporary.path());
    image.assert_pulls(&mut server.client(), "app", "v1");
    links
        .iter()
        .for_each(|link| named(&server, link, "the link is empty, but"));
}

const KINDS: [&str; 4] = ["missing", "unlinked", "short", "altered"];

/// Writes one image with a damaged layer of each kind, each in two repositories; returns them with the digests of the layers.
fn damaged_images(store: &Store) -> Vec<(Image, String)> {
    let image = |seed| Image::new("x", vec![noise(seed, 4000), noise(seed + 100, 4000)]);
    let images: Vec<_> = (10..14).map(image).collect();
    for (kind, image) in KINDS.iter().zip(&images) {
        store.image(kind, "v1", image);
        store.image(&format!("{kind}/twin"), "v1", image);
    }
    let with_digest = |image: Image| {
        let digest = sha256(&image.layers[0]);
        (image, digest)
    };
    let images: Vec<_> = images.into_iter().map(with_digest).collect();
    let path = |number: usize| store.blob_path(&images[number].1);
    fs::remove_file(path(0)).expect("removed");
    for repository in ["unlinked", "unlinked/twin"] {
        let link = store.link_path(repository, "_layers", &images[1].1);
        fs::remove_file(link).expect("removed");
    }
    store.write(&path(2), &images[2].0.layers[0][..100]);
    let mut altered = images[3].0.layers[0].clone();
    altered[2000] ^= 1;
    store.write(&path(3), &altered);
    images
}

#[test]
fn damaged_blobs_are_named_and_not_served() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    let images = damaged_images(&store);
    let server = taken_over(temporary.path());
    // what its size gives away is not served from the start
    let short = format!("/v2/short/blobs/{}", images[2].1);
    server.client().get(&short).refused(404, "BLOB_UNKNOWN");
    for (number, reason) in [
        (1, "an image with a gap"),
        (2, "is not the content that its digest says"),
    ] {
        let manifest = sha256(&images[number].0.manifest);
        let path = store.link_path(KINDS[number], "_manifests/revisions", &manifest);
        named(&server, &path, reason);
    }
    let missing = store.link_path("missing", "_layers", &images[0].1);
    named(&server, &missing, "is missing");
    let line = checked(&server);
    assert!(line.contains("damaged=1"), "{line}");
    let log = server.log().replace('"', "");
    let is_named = log.lines().any(|line| {
        line.contains("taken over is damaged: push one")
            && line.contains("altered:v1 altered/twin:v1")
            && line.contains(&images[3].1)
    });
    assert!(is_named, "{log}");
}

#[test]
fn a_push_heals_an_image_with_a_damaged_blob() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    let images = damaged_images(&store);
    let before = store.snapshot();
    let server = taken_over(temporary.path());
    checked(&server);
    let mut client = server.client();
    for (kind, (image, digest)) in KINDS.iter().zip(&images) {
        for repository in [(*kind).to_owned(), format!("{kind}/twin")] {
            let blob = format!("/v2/{repository}/blobs/{digest}");
            // a damaged blob that is pushed again is back in all images, and a gap is filled where it was pushed
            if repository != "altered/twin" {
                client.get(&blob).refused(404, "BLOB_UNKNOWN");
            }
            let manifest = client.get(&format!("/v2/{repository}/manifests/v1"));
            assert_eq!(manifest.status, 200);
            image.push(&mut client, &repository, "v1");
            image.assert_pulls(&mut client, &repository, "v1");
            // what the push has brought is needed by the image again
            assert_eq!(client.delete(&blob).status, 405, "{blob}");
        }
    }
    assert_eq!(store.snapshot(), before);
}

/// A client pushes what nobody has compared with its digest yet: its own bytes count.
#[test]
fn a_push_replaces_a_blob_that_was_not_checked() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    // the check comes to it first, and has a minute's work with it
    let first = format!("sha256:{}", "0".repeat(64));
    let link = store.link_path("app", "_layers", &first);
    store.write(&link, first.as_bytes());
    store.write(&store.blob_path(&first), b"");
    let set_length = |length| {
        let file = fs::File::options()
            .write(true)
            .open(store.blob_path(&first));
        file.and_then(|file| file.set_len(length))
            .expect("a length");
    };
    set_length(100 << 30);
    let content = noise(2, 5000);
    let mut altered = content.clone();
    altered[7] ^= 1;
    let digest = store.layer("app", &content);
    store.write(&store.blob_path(&digest), &altered);

    let mut server = taken_over(temporary.path());
    let blob = format!("/v2/app/blobs/{digest}");
    assert!(server.client().get(&blob).body == altered);
    assert_eq!(server.client().push_blob("app", &content), digest);
    server.kill();
    set_length(0);
    server.restart();
    let line = checked(&server);
    assert!(line.contains("sound=0 damaged=1"), "{line}");
    assert!(server.client().get(&blob).body == content);
}

/// The manifest is wrong about the size, and the blob is right.
#[test]
fn a_wrong_size_in_a_manifest_is_no_damage_of_its_blob() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    let layer = noise(1, 1000);
    let config = store.layer("app", b"config");
    let digest = store.layer("app", &layer);
    let mut wrong = descriptor("application/vnd.oci.image.layer.v1.tar", &layer);
    wrong["size"] = json!(5);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [wrong],
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 6 },
    });
    let named = store.manifest("app", manifest.to_string().as_bytes());
    store.tag("app", "v1", &named);
    let server = taken_over(temporary.path());
    let answer = server.client().get(&format!("/v2/app/blobs/{digest}"));
    assert!(answer.body == layer);
    let log = server.log();
    assert!(!log.contains("not taken over as it is"), "{log}");
}

/// Opening a FIFO would wait for whoever writes to it.
#[test]
fn a_fifo_in_place_of_a_link_holds_nothing_up() {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let store = Store::new(temporary.path());
    store.image("app", "sound", &Image::small(1));
    let digest = store.image("app", "odd", &Image::small(2));
    let links = [
        store.tag_path("app", "odd"),
        store.link_path("app", "_manifests/revisions", &digest),
    ];
    for link in &links {
        fs::remove_file(link).expect("removable");
        let made = std::process::Command::new("mkfifo").arg(link).status();
        assert!(made.expect("mkfifo").success());
    }
    let server = taken_over(temporary.path());
    assert_eq!(tags(&mut server.client(), "app"), json!(["sound"]));
    named(&server, &links[1], "it is a FIFO");
}
