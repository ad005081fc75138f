//! `registry du` compared with the file system's own figures.

use serde_json::Value;

use super::{bytes_on_disk, json, number, text, with_fast_collection};
use crate::support::{
    Client, Image, OCI_INDEX, OCI_MANIFEST, Server, descriptor, eventually, noise, sha256,
};

/// The example store: a base layer shared by all images, a layer that `app` has twice, an index,
/// and a copy in another repository.
struct Store {
    /// `app:v1` and `app:v2`, which share a layer of 20,000 bytes and the base of 50,000.
    versions: [Image; 2],
    /// `web:v1`: the base and 3000 bytes of its own.
    web: Image,
    /// `multi:latest`, an index of two; the first is also `copy:one`.
    platforms: [Image; 2],
    index: Vec<u8>,
}

fn push_store(client: &mut Client) -> Store {
    let base = || noise(1, 50_000);
    let versions = [1_u64, 2].map(|seed| {
        Image::new(
            &format!("v{seed}"),
            vec![base(), noise(2, 20_000), noise(10 + seed, 1000)],
        )
    });
    let web = Image::new("web", vec![base(), noise(3, 3000)]);
    let platforms = [1_u64, 2].map(|seed| {
        Image::new(
            &format!("platform {seed}"),
            vec![base(), noise(20 + seed, 7000)],
        )
    });
    versions[0].push(client, "app", "v1");
    versions[1].push(client, "app", "v2");
    versions[1].push(client, "app", "latest");
    web.push(client, "web", "v1");
    for image in &platforms {
        image.push(client, "multi", &image.digest());
    }
    platforms[0].push(client, "copy", "one");
    let children: Vec<_> = platforms
        .iter()
        .map(|image| descriptor(OCI_MANIFEST, &image.manifest))
        .collect();
    let index =
        serde_json::json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children })
            .to_string()
            .into_bytes();
    assert_eq!(
        client
            .put_manifest("multi", "latest", OCI_INDEX, &index)
            .status,
        201
    );
    Store {
        versions,
        web,
        platforms,
        index,
    }
}

fn config(image: &Image) -> u64 {
    image.config.len() as u64
}

/// The `du` row of one repository.
fn usage<'d>(du: &'d Value, repository: &str) -> &'d Value {
    let all = du["repositories"].as_array().expect("repositories");
    all.iter()
        .find(|usage| usage["repository"] == repository)
        .unwrap_or_else(|| panic!("no {repository}: {du}"))
}

#[test]
fn du_figures_match_the_file_system() {
    let server = Server::start();
    let mut client = server.client();
    let store = push_store(&mut client);
    let location = client.begin_upload("app");
    assert_eq!(
        client
            .request("PATCH", &location)
            .body(&[7; 12_345])
            .send()
            .status,
        202
    );
    let du = json(&server, &["du"]);
    assert_repositories(&du, &store);
    assert_totals(&server, &du, &store);
    assert_tags(&server, usage(&du, "app"), &store);
}

/// Asserts the figures of each repository.
fn assert_repositories(du: &Value, store: &Store) {
    let app = usage(du, "app");
    let configs = config(&store.versions[0]) + config(&store.versions[1]);
    assert_eq!(
        (&app["tagCount"], &app["manifestCount"]),
        (&3.into(), &2.into())
    );
    assert_eq!(
        number(&app["logicalSize"]),
        2 * 71_000 + configs,
        "every image whole"
    );
    assert_eq!(
        number(&app["size"]),
        50_000 + 20_000 + 2000 + configs,
        "every blob once"
    );
    assert_eq!(
        number(&app["exclusiveSize"]),
        20_000 + 2000 + configs,
        "all but the base"
    );
    assert_eq!(
        number(&app["manifestSize"]),
        (store.versions[0].manifest.len() + store.versions[1].manifest.len()) as u64
    );
    assert_eq!(
        number(&usage(du, "web")["exclusiveSize"]),
        3000 + config(&store.web)
    );
    assert_eq!(
        number(&usage(du, "multi")["exclusiveSize"]),
        7000 + config(&store.platforms[1]),
        "its other platform is in copy as well"
    );
    assert_eq!(
        number(&usage(du, "multi")["logicalSize"]),
        2 * 57_000 + config(&store.platforms[0]) + config(&store.platforms[1])
    );
    assert_eq!(number(&usage(du, "copy")["exclusiveSize"]), 0);
}

/// Asserts the figures of the whole store.
fn assert_totals(server: &Server, du: &Value, store: &Store) {
    let figures = &du["store"];
    assert_eq!(number(&figures["blobs"]["size"]), bytes_on_disk(server));
    assert_eq!(
        number(&figures["blobs"]["count"]),
        server.blob_files().len() as u64
    );
    assert_eq!(
        (&figures["uploads"]["count"], &figures["uploads"]["size"]),
        (&1.into(), &12_345.into())
    );
    let manifests = store
        .versions
        .iter()
        .chain(&store.platforms)
        .chain([&store.web, &store.platforms[0]])
        .map(|image| image.manifest.len())
        .sum::<usize>()
        + store.index.len();
    assert_eq!(number(&figures["manifests"]["size"]), manifests as u64);
    assert_eq!(
        (
            &figures["garbage"]["now"]["size"],
            &figures["garbage"]["later"]["size"]
        ),
        (&0.into(), &0.into())
    );
    assert!(
        number(&figures["database"]["size"]) >= 4096 && number(&figures["disk"]["freeSize"]) > 0
    );
}

/// Asserts the figures of each tag.
fn assert_tags(server: &Server, app: &Value, store: &Store) {
    let du = json(server, &["du", "app", "--sort", "name"]);
    let tag = |name: &str| {
        du["tags"]
            .as_array()
            .expect("tags")
            .iter()
            .find(|tag| tag["tag"] == name)
            .expect("a tag")
            .clone()
    };
    assert_eq!(
        number(&tag("v1")["logicalSize"]),
        71_000 + config(&store.versions[0])
    );
    assert_eq!(
        number(&tag("v1")["exclusiveSize"]),
        1000 + config(&store.versions[0])
    );
    assert_eq!(number(&tag("v2")["exclusiveSize"]), 0, "latest is the same");
    assert_eq!(du["repositories"], serde_json::json!([app]));
    let du = json(server, &["du", "multi"]);
    assert_eq!(
        number(&du["tags"][0]["logicalSize"]),
        50_000 + 14_000 + config(&store.platforms[0]) + config(&store.platforms[1]),
        "the base once"
    );
    assert_eq!(
        number(&du["tags"][0]["exclusiveSize"]),
        7000 + config(&store.platforms[1])
    );
}

#[test]
fn predicted_space_equals_the_space_freed() {
    let mut pushed = None;
    let (_directory, server) =
        with_fast_collection(&[], |client| pushed = Some(push_store(client)));
    let store = pushed.expect("a store");
    let mut left = bytes_on_disk(&server);
    let mut gone = |server: &Server, frees: u64, what: &str| {
        left -= frees;
        eventually(&format!("{what} is off the disk"), || {
            bytes_on_disk(server) <= left
        });
        // nothing else is removed
        std::thread::sleep(std::time::Duration::from_millis(600));
        assert_eq!(bytes_on_disk(server), left, "{what}");
        let total = json(server, &["du"]);
        assert_eq!(
            number(&total["store"]["blobs"]["size"]),
            left,
            "du after {what}"
        );
        assert_eq!(total["store"]["garbage"]["later"]["size"], 0, "{what}");
    };

    let frees =
        number(&json(&server, &["du", "app", "--sort", "name"])["tags"][1]["exclusiveSize"]);
    text(
        &server,
        &["rm", &format!("app@{}", store.versions[0].digest())],
    );
    gone(&server, frees, "app:v1");
    let frees = number(&json(&server, &["du", "multi"])["tags"][0]["exclusiveSize"]);
    text(&server, &["rm", &format!("multi@{}", sha256(&store.index))]);
    gone(&server, frees, "the index");
    for repository in ["app", "copy", "web"] {
        let frees = number(&usage(&json(&server, &["du"]), repository)["exclusiveSize"]);
        assert!(frees > 0, "{repository}");
        text(&server, &["rm", repository]);
        gone(&server, frees, repository);
    }
    assert_eq!(bytes_on_disk(&server), 0);
}

#[test]
fn waiting_garbage_is_listed_with_its_date() {
    let server = Server::start();
    let mut client = server.client();
    let store = push_store(&mut client);
    let frees = number(&usage(&json(&server, &["du"]), "web")["exclusiveSize"]);
    text(&server, &["rm", "web"]);
    let garbage = json(&server, &["du"])["store"]["garbage"].clone();
    assert_eq!(
        (&garbage["now"]["size"], number(&garbage["later"]["size"])),
        (&0.into(), frees)
    );
    let tomorrow = std::time::SystemTime::now() + std::time::Duration::from_secs(24 * 3600);
    let tomorrow = crate::support::format_time(tomorrow);
    assert_eq!(
        garbage["later"]["days"],
        serde_json::json!([{ "date": tomorrow[..10], "size": frees, "blobCount": 2 }])
    );
    let table = text(&server, &["du"]);
    assert!(
        table.contains(&tomorrow[..10])
            && table.contains("in 2 blobs: registry gc --now frees that")
            && table.contains("Free disk"),
        "{table}"
    );

    // an untagged image keeps its layers for two weeks, so a later deletion of them frees nothing
    // of its own
    text(&server, &["rm", "app:v1"]);
    let tags = json(&server, &["du", "app", "--sort", "name"])["tags"].clone();
    assert_eq!(tags.as_array().expect("tags").len(), 2);
    text(&server, &["rm", "app:v2"]);
    let latest = json(&server, &["du", "app", "--sort", "name"])["tags"][0].clone();
    assert_eq!(
        number(&latest["exclusiveSize"]),
        20_000 + 1000 + config(&store.versions[1]),
        "what v1 shares with it goes after both"
    );
    let table = text(&server, &["du", "app", "--sort", "name"]);
    assert!(
        table.contains("latest") && table.contains(" exclusive to it"),
        "{table}"
    );
}

#[test]
fn collectable_garbage_is_listed_until_collected() {
    let server = Server::with(&[
        ("REGISTRY_GC_ENABLED", "false"),
        ("REGISTRY_GC_LEASE", "0s"),
        ("REGISTRY_GC_GRACE", "0s"),
    ]);
    let store = push_store(&mut server.client());
    let frees = number(&usage(&json(&server, &["du"]), "web")["exclusiveSize"]);
    text(&server, &["rm", &format!("web@{}", store.web.digest())]);
    std::thread::sleep(std::time::Duration::from_millis(10));
    let before = json(&server, &["du"])["store"].clone();
    assert_eq!(number(&before["garbage"]["now"]["size"]), frees);
    assert_eq!(number(&before["blobs"]["size"]), bytes_on_disk(&server));
    let swept = json(&server, &["gc"]);
    assert_eq!(number(&swept["size"]), frees, "gc tells the same");
    let after = json(&server, &["du"])["store"].clone();
    assert_eq!(
        (
            &after["garbage"]["now"]["size"],
            number(&after["blobs"]["size"])
        ),
        (&0.into(), bytes_on_disk(&server))
    );
    assert_eq!(
        number(&before["blobs"]["size"]) - number(&after["blobs"]["size"]),
        frees
    );
}

#[test]
fn du_says_that_pushes_are_refused_and_why() {
    let reserve = u64::MAX.to_string();
    let full = Server::with(&[("REGISTRY_STORAGE_RESERVE", &reserve)]);
    // the command learns the reserve from what the server records
    eventually("du says so", || {
        json(&full, &["du"])["store"]["disk"]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("storage.reserve"))
    });
    let said = text(&full, &["du"]);
    assert!(
        said.contains("Pushes         are refused: less than"),
        "{said}"
    );
    let roomy = Server::start();
    let disk = json(&roomy, &["du"])["store"]["disk"].clone();
    assert!(disk["reason"].is_null(), "{disk}");
    assert!(!text(&roomy, &["du"]).contains("are refused"));
}
