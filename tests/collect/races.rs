//! Races that cost users of other registries data or space.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{digests, stored};
use crate::support::{
    Client, Image, Mounted, OCI_INDEX, OCI_MANIFEST, Server, announce_skipped, descriptor,
    eventually, noise, sha256,
};

/// Unreferenced content is collected at once.
const HASTY: &[(&str, &str)] = &[
    // longer than a push takes on a busy machine: what it brought first must be there at its end
    ("REGISTRY_GC_LEASE", "1s"),
    ("REGISTRY_GC_GRACE", "300ms"),
    ("REGISTRY_GC_KEEPUNTAGGED", "300ms"),
    ("REGISTRY_GC_INTERVAL", "10ms"),
];

fn index(children: &[&Image]) -> Vec<u8> {
    let manifests: Vec<_> = children
        .iter()
        .map(|child| descriptor(OCI_MANIFEST, &child.manifest))
        .collect();
    serde_json::json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests })
        .to_string()
        .into_bytes()
}

fn referrer(subject: &[u8], media_type: &str, layer: &[u8]) -> Vec<u8> {
    serde_json::json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/x.signature",
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [descriptor("application/x.signature", layer)],
        "subject": descriptor(media_type, subject),
    })
    .to_string()
    .into_bytes()
}

fn put(client: &mut Client, reference: &str, media_type: &str, manifest: &[u8]) {
    let response = client.put_manifest("app", reference, media_type, manifest);
    assert_eq!(response.status, 201, "{response:?}");
}

fn is_there(client: &mut Client, manifest: &[u8]) -> bool {
    client
        .get(&format!("/v2/app/manifests/{}", sha256(manifest)))
        .status
        == 200
}

/// dist#2190, moby#29884: disks filled by overwritten tags.
#[test]
fn the_previous_target_of_a_moved_tag_is_collected() {
    let server = Server::with(HASTY);
    let client = &mut server.client();
    let images: Vec<_> = (0..5)
        .map(|seed| {
            Image::new(
                &format!("{seed}"),
                vec![noise(100, 2000), noise(seed, 1000)],
            )
        })
        .collect();
    images
        .iter()
        .for_each(|image| image.push_again(client, "app", "latest"));
    let last = &images[4];
    eventually("only the last is there", || {
        stored(&server) == digests(&[&last.config, &last.layers[0], &last.layers[1]])
    });
    last.assert_pulls(client, "app", "latest");
}

/// dist#4461, dist#3178: multi-architecture images lost their untagged children; joxit#405,
/// gitea#32053: children of deleted indexes stayed for ever.
#[test]
fn children_are_kept_while_an_index_references_them() {
    let server = Server::with(HASTY);
    let client = &mut server.client();
    let (shared, own) = (Image::small(1), Image::small(2));
    for child in [&shared, &own] {
        child.push_again(client, "app", &child.digest());
    }
    let (one, other) = (index(&[&shared, &own]), index(&[&shared]));
    put(client, "one", OCI_INDEX, &one);
    put(client, "other", OCI_INDEX, &other);
    // another blob is pushed and collected, which proves that a pass has run
    let mark = |client: &mut Client, seed: u64| {
        let garbage = noise(seed, 100);
        client.push_blob("garbage", &garbage);
        eventually("other garbage is gone", || {
            !stored(&server).contains(&sha256(&garbage))
        });
    };
    mark(client, 50);
    mark(client, 51);
    shared.assert_pulls(client, "app", &shared.digest());
    own.assert_pulls(client, "app", &own.digest());

    assert_eq!(
        client
            .delete(&format!("/v2/app/manifests/{}", sha256(&one)))
            .status,
        202
    );
    // not requested directly, because that would be a pull
    eventually("its own child is gone", || {
        !stored(&server).contains(&sha256(&own.config))
    });
    assert!(!is_there(client, &own.manifest));
    mark(client, 52);
    shared.assert_pulls(client, "app", &shared.digest());
    assert_eq!(client.delete("/v2/app/manifests/other").status, 202);
    eventually("everything is gone", || server.blob_files().is_empty());
    assert!(!is_there(client, &shared.manifest));
}

/// dist#4822 and others: collection removed signatures and SBOMs of live images, since no manifest
/// references them.
#[test]
fn referrers_are_kept_as_long_as_their_subject() {
    let server = Server::with(HASTY);
    let client = &mut server.client();
    let image = Image::small(1);
    image.push_again(client, "app", "latest");
    let signature = referrer(&image.manifest, OCI_MANIFEST, b"signature");
    let of_signature = referrer(&signature, OCI_MANIFEST, b"countersignature");
    for blob in [b"{}".as_slice(), b"signature", b"countersignature"] {
        client.push_blob("app", blob);
    }
    put(client, &sha256(&signature), OCI_MANIFEST, &signature);
    put(client, &sha256(&of_signature), OCI_MANIFEST, &of_signature);
    let tag = format!("{}.sig", image.digest().replace(':', "-"));
    put(client, &tag, OCI_MANIFEST, &Image::small(1).manifest);
    let garbage = noise(9, 100);
    client.push_blob("app", &garbage);
    eventually("garbage is gone", || {
        !stored(&server).contains(&sha256(&garbage))
    });
    assert!(is_there(client, &signature) && is_there(client, &of_signature));

    assert_eq!(
        client
            .delete(&format!("/v2/app/manifests/{}", image.digest()))
            .status,
        202
    );
    eventually("everything is gone", || server.blob_files().is_empty());
    assert!(!is_there(client, &signature) && !is_there(client, &of_signature));
}

/// An index whose subject is its own child: neither may keep the other for ever.
#[test]
fn an_index_whose_subject_is_its_child_is_collected() {
    let server = Server::with(HASTY);
    let client = &mut server.client();
    let child = Image::small(1);
    child.push_again(client, "app", &child.digest());
    let mut about: serde_json::Value = serde_json::from_slice(&index(&[&child])).expect("JSON");
    about["subject"] = descriptor(OCI_MANIFEST, &child.manifest);
    put(client, "index", OCI_INDEX, about.to_string().as_bytes());
    assert_eq!(client.delete("/v2/app/manifests/index").status, 202);
    eventually("everything is gone", || server.blob_files().is_empty());
}

/// While the child is tagged, the index is kept as any referrer is.
#[test]
fn an_index_whose_subject_is_its_tagged_child_is_kept() {
    let server = Server::with(HASTY);
    let client = &mut server.client();
    let (child, other) = (Image::small(1), Image::small(2));
    child.push_again(client, "app", "latest");
    other.push_again(client, "app", "temporary");
    let mut about: serde_json::Value =
        serde_json::from_slice(&index(&[&child, &other])).expect("JSON");
    about["subject"] = descriptor(OCI_MANIFEST, &child.manifest);
    let about = about.to_string().into_bytes();
    put(client, &sha256(&about), OCI_INDEX, &about);
    assert_eq!(client.delete("/v2/app/manifests/temporary").status, 202);
    for seed in 60..63 {
        let garbage = noise(seed, 100);
        client.push_blob("garbage", &garbage);
        eventually("other garbage is gone", || {
            !stored(&server).contains(&sha256(&garbage))
        });
    }
    assert!(is_there(client, &about) && is_there(client, &other.manifest));
    assert_eq!(client.delete("/v2/app/manifests/latest").status, 202);
    eventually("everything is gone", || server.blob_files().is_empty());
}

/// dist#1803, dist#3743: after a collection the server still reported removed layers as present.
#[test]
fn collected_content_is_reported_absent() {
    let server = Server::with(HASTY);
    let client = &mut server.client();
    let image = Image::small(1);
    for _ in 0..3 {
        image.push_again(client, "app", "latest");
        image.assert_pulls(client, "app", "latest");
        assert_eq!(
            client
                .delete(&format!("/v2/app/manifests/{}", image.digest()))
                .status,
            202
        );
        eventually("its files are gone", || server.blob_files().is_empty());
        assert_eq!(
            client
                .head(&format!("/v2/app/blobs/{}", sha256(&image.config)))
                .status,
            404
        );
    }
}

/// dist#1585: empty repositories stayed in the list.
#[test]
fn an_empty_repository_is_unlisted() {
    let server = Server::with(&[HASTY, &[("REGISTRY_GC_HISTORY", "300ms")]].concat());
    let client = &mut server.client();
    Image::small(1).push_again(client, "app", "latest");
    client.push_blob("never/finished", b"a layer of no image");
    assert_eq!(client.delete("/v2/app/").status, 202);
    assert_eq!(
        client.get("/v2/_catalog").json()["repositories"],
        serde_json::json!([])
    );
    client.get("/v2/app/tags/list").refused(404, "NAME_UNKNOWN");
    client.delete("/v2/app/").refused(404, "NAME_UNKNOWN");
    let rows = || {
        let database = rusqlite::Connection::open(server.directory().join("registry.db"))
            .expect("the database");
        database
            .query_row("SELECT count(*) FROM repositories", [], |row| {
                row.get::<_, i64>(0)
            })
            .expect("a count")
    };
    eventually("nothing is left of either", || {
        rows() == 0 && server.blob_files().is_empty()
    });
}

/// dist#1960: one bad file ended every collection.
#[test]
fn one_bad_file_does_not_stop_collection() {
    let mut server = Server::with(&[
        ("REGISTRY_GC_ENABLED", "false"),
        ("REGISTRY_GC_LEASE", "0s"),
        ("REGISTRY_GC_GRACE", "0s"),
    ]);
    let client = &mut server.client();
    let blobs: Vec<_> = (0..5).map(|seed| noise(seed, 1000)).collect();
    blobs
        .iter()
        .for_each(|blob| drop(client.push_blob("app", blob)));
    let bad = server.blob_files().into_iter().find(|path| {
        sha256(&blobs[2]).ends_with(&*path.file_name().expect("a name").to_string_lossy())
    });
    let bad = bad.expect("its file");
    let Some(mounted) = Mounted::bind(&bad) else {
        return announce_skipped("a file that cannot be removed", "only root may mount");
    };
    let output = server.cli(&["gc", "--online", "--output", "json"]);
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && printed.contains("1 item could not be removed"),
        "{printed}"
    );
    let swept: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&swept["blobCount"], &swept["fileCount"], &swept["size"]),
        (&5.into(), &4.into(), &4000.into()),
        "{swept}"
    );
    // once mended, the next pass collects it, even after a restart in between
    drop(mounted);
    server.kill();
    let output = server.cli(&["gc", "--output", "json"]);
    assert!(output.status.success() && !bad.exists(), "{output:?}");
}

/// Pushes as docker does: blobs that are there are not sent.
fn push_missing(client: &mut Client, image: &Image, tag: &str) {
    for blob in image.layers.iter().chain([&image.config]) {
        let there = client.head(&format!("/v2/app/blobs/{}", sha256(blob)));
        if there.status != 200 {
            client.push_blob("app", blob);
        }
    }
    put(client, tag, OCI_MANIFEST, &image.manifest);
}

/// Every push is acknowledged, and every acknowledged image stays, while others delete what it shares layers with and
/// `gc --now` frees that.
#[test]
fn collection_of_deleted_content_takes_nothing_from_pushes() {
    const WORKERS: u64 = 4;
    const ROUNDS: u64 = 40;
    let server = Server::start();
    let freed = AtomicU64::new(0);
    let images: Vec<Image> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let (server, freed) = (&server, &freed);
                scope.spawn(move || {
                    let client = &mut server.client();
                    let tag = format!("w{worker}");
                    for round in 0.. {
                        let layers = [
                            noise(round % 5, 3000),
                            noise(100 + (round + worker) % 3, 2000),
                        ];
                        let image = Image::new(&format!("{worker} {round}"), layers.to_vec());
                        push_missing(client, &image, &tag);
                        image.assert_pulls(client, "app", &tag);
                        // collection is to have something to do, however slow the machine is
                        if round >= ROUNDS && freed.load(Ordering::Relaxed) > WORKERS {
                            return image;
                        }
                        let deleted =
                            client.delete(&format!("/v2/app/manifests/{}", image.digest()));
                        assert_eq!(deleted.status, 202);
                    }
                    unreachable!("the rounds go on until the worker returns")
                })
            })
            .collect();
        while workers.iter().any(|worker| !worker.is_finished()) {
            let output = server.cli(&["gc", "--now", "--yes", "-o", "json"]);
            assert!(output.status.success(), "{output:?}");
            let swept: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            let blobs = swept["blobCount"].as_u64().expect("a number");
            freed.fetch_add(blobs, Ordering::Relaxed);
        }
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker ends"))
            .collect()
    });
    let output = server.cli(&["gc", "--now", "--yes", "-o", "json"]);
    assert!(output.status.success(), "{output:?}");
    let client = &mut server.client();
    for (worker, image) in images.iter().enumerate() {
        image.assert_pulls(client, "app", &format!("w{worker}"));
    }
}

/// A deletion that comes while `gc --now` runs can be undone as a whole, or not any more.
#[test]
fn undo_is_whole_or_has_ended() {
    const WORKERS: u64 = 3;
    const ROUNDS: u64 = 25;
    let server = Server::start();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let server = &server;
                scope.spawn(move || {
                    let client = &mut server.client();
                    for round in 0..ROUNDS {
                        let image = Image::small(1000 * worker + round);
                        image.push(client, "app", &format!("w{worker}"));
                        let path = format!("/v2/app/manifests/{}", image.digest());
                        assert_eq!(client.delete(&path).status, 202);
                        let output = server.cli(&["restore", &format!("app@{}", image.digest())]);
                        let message = String::from_utf8_lossy(&output.stderr);
                        if output.status.success() {
                            image.assert_pulls(client, "app", &image.digest());
                        } else {
                            assert!(message.contains("its undo ended on"), "{message}");
                        }
                    }
                })
            })
            .collect();
        while workers.iter().any(|worker| !worker.is_finished()) {
            let output = server.cli(&["gc", "--now", "--yes"]);
            assert!(output.status.success(), "{output:?}");
        }
    });
}

/// artifact-keeper#1527, dist#4406: abandoned sessions and files without an owner.
#[test]
fn content_in_use_by_a_push_is_not_collected() {
    let server = Server::with(HASTY);
    let client = &mut server.client();
    // a slow push that renews its interest by HEAD now and then
    let image = Image::small(1);
    for blob in [&image.config, &image.layers[0]] {
        client.push_blob("app", blob);
    }
    let begun = std::time::Instant::now();
    while begun.elapsed() < std::time::Duration::from_millis(1500) {
        for blob in [&image.config, &image.layers[0]] {
            assert_eq!(
                client
                    .head(&format!("/v2/app/blobs/{}", sha256(blob)))
                    .status,
                200,
                "after {:?}",
                begun.elapsed()
            );
        }
    }
    put(client, "latest", OCI_MANIFEST, &image.manifest);
    image.assert_pulls(client, "app", "latest");
}
