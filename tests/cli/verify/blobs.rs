//! Damaged blobs: found, not served, explained, and healed by a push.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use super::{found, path_of, replace, verify};
use crate::support::{Client, Image, OCI_INDEX, OCI_MANIFEST, Server, noise, sha256};

fn images() -> Vec<Image> {
    let image = |seed| Image::new("x", vec![noise(seed, 3000), noise(seed + 1000, 3000)]);
    (0..110).map(image).collect()
}

/// Flips one bit in each of 100 blobs, cuts five, and removes five.
fn damage(server: &Server, images: &[Image]) {
    for (number, image) in images.iter().enumerate() {
        let layer = &image.layers[0];
        let path = path_of(server, &sha256(layer));
        match number {
            0..100 => {
                let mut flipped = layer.clone();
                flipped[number * 29] ^= 1 << (number % 8);
                replace(&path, &flipped);
            }
            100..105 => replace(&path, &layer[..number]),
            _ => fs::remove_file(&path).expect("removed"),
        }
    }
}

/// Tags of the images that are named, each once.
fn named(printed: &Value) -> BTreeSet<&str> {
    let findings = printed["findings"].as_array().expect("a list").iter();
    findings
        .map(|finding| finding["images"][0]["tags"][0].as_str().expect("a tag"))
        .collect()
}

/// Asserts that a blob is not there, and that the answer says why.
fn assert_explained(client: &mut Client, repository: &str, digest: &str) {
    let answer = client.get(&format!("/v2/{repository}/blobs/{digest}"));
    answer.refused(404, "BLOB_UNKNOWN");
    let error = &answer.json()["errors"][0];
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|text| text.contains("damaged"))
            && error["detail"]["digest"] == digest
            && error["detail"]["damage"].is_string(),
        "{error}"
    );
}

#[test]
fn bit_rot_is_found_taken_out_and_healed_by_a_push() {
    let server = Server::start();
    let mut client = server.client();
    let images = images();
    for (number, image) in images.iter().enumerate() {
        image.push(&mut client, "app", &format!("v{number}"));
    }
    let (is_sound, printed) = verify(&server, &[]);
    assert!(is_sound, "{printed}");
    assert_eq!(
        (&printed["manifestCount"], &printed["unknownFileCount"]),
        (&json!(110), &json!(0))
    );
    damage(&server, &images);
    let digests = images.iter().map(|image| sha256(&image.layers[0]));
    let damaged: BTreeSet<_> = digests.collect();
    // the third run reports what is still missing
    for (flags, outcome) in [
        (&["--dry-run"][..], "reported"),
        (&[], "withdrawn"),
        (&[], "withdrawn"),
    ] {
        let (is_sound, printed) = verify(&server, flags);
        assert!(!is_sound);
        assert_eq!(found(&printed, "blob"), damaged, "{flags:?}");
        let findings = printed["findings"].as_array().expect("a list");
        assert_eq!(
            (findings.len(), &printed["findingCount"]),
            (110, &json!(110))
        );
        assert!(findings.iter().all(|finding| finding["outcome"] == outcome));
        assert_eq!(named(&printed).len(), 110);
    }
    for (number, image) in images.iter().enumerate() {
        assert_explained(&mut client, "app", &sha256(&image.layers[0]));
        image.push(&mut client, "app", &format!("v{number}"));
        image.assert_pulls(&mut client, "app", &format!("v{number}"));
    }
    let log = server.log();
    let digest = sha256(&images[7].layers[0]);
    assert!(
        log.lines().any(|line| line.contains(&digest)
            && line.contains("app:v7")
            && line.contains("ERROR")),
        "{log}"
    );
    let (is_sound, printed) = verify(&server, &[]);
    assert!(is_sound, "{printed}");
    assert_eq!(printed["blobCount"], 110 * 2 + 1);
}

/// A blob whose file is found missing by a pull is explained as one that verification found.
#[test]
fn a_missing_file_is_explained_to_whoever_asks() {
    let server = Server::start();
    let (mut client, image) = (server.client(), Image::small(1));
    image.push(&mut client, "app", "v1");
    let digest = sha256(&image.layers[0]);
    fs::remove_file(path_of(&server, &digest)).expect("removed");
    assert_explained(&mut client, "app", &digest);
    client
        .get(&format!("/v2/app/blobs/{}", sha256(b"never pushed")))
        .refused(404, "BLOB_UNKNOWN");
}

#[test]
fn one_push_heals_every_repository_and_indexes_are_named() {
    let server = Server::start();
    let (mut client, image) = (server.client(), Image::small(1));
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
        { "mediaType": OCI_MANIFEST, "digest": image.digest(), "size": image.manifest.len() }
    ] });
    image.push(&mut client, "team/one", "v1");
    for blob in image.layers.iter().chain([&image.config]) {
        client.push_blob("team/two", blob);
    }
    client.put_manifest("team/two", &image.digest(), OCI_MANIFEST, &image.manifest);
    let pushed = client.put_manifest("team/two", "multi", OCI_INDEX, index.to_string().as_bytes());
    assert_eq!(pushed.status, 201, "{pushed:?}");
    let digest = sha256(&image.layers[0]);
    replace(&path_of(&server, &digest), b"something else");

    let (is_sound, printed) = verify(&server, &["team/*"]);
    assert!(!is_sound);
    let images = &printed["findings"][0]["images"];
    let tags: Vec<_> = [0, 1]
        .iter()
        .map(|number| &images[number]["tags"][0])
        .collect();
    assert_eq!(tags, ["v1", "multi"], "{printed}");
    // another repository learns nothing of it
    let elsewhere = client.get(&format!("/v2/other/blobs/{digest}"));
    assert!(elsewhere.json()["errors"][0]["detail"]["damage"].is_null());
    assert_explained(&mut client, "team/two", &digest);

    image.push(&mut client, "team/one", "v1");
    let healed = client.get(&format!("/v2/team/two/blobs/{digest}"));
    assert_eq!((healed.status, &healed.body), (200, &image.layers[0]));
    let (is_sound, printed) = verify(&server, &[]);
    assert!(is_sound, "{printed}");
}

#[test]
fn repositories_are_verified_alone() {
    let server = Server::start();
    let mut client = server.client();
    let images: Vec<_> = (0..3).map(Image::small).collect();
    for (image, repository) in images.iter().zip(["a/one", "a/two", "b"]) {
        image.push(&mut client, repository, "v1");
    }
    replace(&path_of(&server, &sha256(&images[2].layers[0])), b"x");
    let (is_sound, printed) = verify(&server, &["a/*"]);
    assert!(is_sound, "{printed}");
    assert_eq!(
        (&printed["blobCount"], &printed["manifestCount"]),
        (&json!(4), &json!(2))
    );
    let (is_sound, printed) = verify(&server, &["a/one", "b"]);
    assert!(!is_sound, "{printed}");
    assert_eq!(printed["findings"][0]["images"][0]["repository"], "b");
    for wrong in ["absent", "a/one:v1", "c/*"] {
        let output = server.cli(&["verify", wrong]);
        assert!(
            !output.status.success() && !output.stderr.is_empty(),
            "{output:?}"
        );
    }
}
