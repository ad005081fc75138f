//! `registry upstream`: what the server sees of its upstreams, and keeping what is cached.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::mirror::{SEVEN, hub, mirror};
use crate::support::{
    Image, OCI_INDEX, OCI_MANIFEST, Server, descriptor, eventually, eventually_some, sha256,
};

fn printed(server: &Server, words: &[&str]) -> Value {
    let output = server.cli(&[words, &["--output=json"]].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Waits until an image of two layers is stored, which clients do not; returns its files.
fn stored(server: &Server) -> BTreeSet<PathBuf> {
    eventually_some("it is stored", || {
        let files: BTreeSet<_> = server.blob_files().into_iter().collect();
        (files.len() >= 3).then_some(files)
    })
}

#[test]
fn the_list_says_what_an_upstream_did() {
    let (hub, image) = hub();
    let mut server = mirror(&hub, &json!({ "fresh": "0s" }));
    let list = |server: &Server| printed(server, &["upstream", "ls"])["upstreams"].clone();
    // before anything was asked
    let first = eventually_some("it is recorded", || list(&server).get(0).cloned());
    assert_eq!(first["reachable"], Value::Null);
    let mut client = server.client();
    for _ in 0..2 {
        image.assert_pulls(&mut client, "hub/library/redis", "7");
    }
    stored(&server);
    hub.behave(|behaviour| behaviour.statuses = [(503, "")].into());
    assert_eq!(client.get(SEVEN).status, 200);
    server.stop();
    let upstream = list(&server)[0].clone();
    let bytes: usize = image.layers.iter().map(Vec::len).sum();
    let bytes = bytes + image.config.len();
    for (key, value) in [
        ("name", json!("hub")),
        ("url", json!(hub.url())),
        ("reachable", json!(false)),
        ("failure", json!("the upstream fails with status 503")),
        ("repositoryCount", json!(1)),
        ("size", json!(bytes)),
        // a manifest, a config and two layers, and then again; and the manifest once more
        ("missCount", json!(4)),
        ("hitCount", json!(5)),
        ("staleCount", json!(1)),
        ("fetchedSize", json!(bytes + image.manifest.len())),
    ] {
        assert_eq!(upstream[key], value, "{key} of {upstream}");
    }
    assert!(upstream["quotaRemaining"].is_u64() && upstream["answered"].is_string());
    let table = server.cli(&["upstream", "ls"]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(
        table.contains("status 503") && table.contains("55"),
        "{table}"
    );
    // counts go on, and an upstream that is not configured any more is forgotten
    server.restart();
    image.assert_pulls(&mut server.client(), "hub/library/redis", &image.digest());
    server.stop();
    assert_eq!(list(&server)[0]["hitCount"], json!(9));
    let mut server = Server::at(server.directory(), &[]);
    server.stop();
    assert_eq!(list(&server), json!([]));
}

#[test]
fn what_is_kept_is_ones_own_and_no_byte_is_copied() {
    let (hub, image) = hub();
    let server = mirror(&hub, &json!({}));
    let mut client = server.client();
    image.assert_pulls(&mut client, "hub/library/redis", "7");
    let files = stored(&server);
    hub.behave(|behaviour| behaviour.statuses = [(404, ""), (404, ""), (404, "")].into());
    let keep = ["upstream", "keep", "hub/library/redis:7", "team/redis:7"];
    // a client has the last byte before the blob is recorded
    eventually("it is kept", || server.cli(&keep).status.success());
    let kept = printed(&server, &keep);
    assert_eq!(
        (&kept["digest"], &kept["missingCount"]),
        (&json!(image.digest()), &json!(0))
    );
    assert_eq!(stored(&server), files);
    image.assert_pulls(&mut client, "team/redis", "7");
    Image::small(8).push(&mut client, "team/redis", "8");
    let output = server.cli(&["upstream", "keep", "team/redis:7", "team/other:7"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("is your own already"),
        "{said}"
    );
    let output = server.cli(&[
        "upstream",
        "keep",
        "hub/library/redis:7",
        "hub/library/kept:7",
    ]);
    assert!(
        output.status.success(),
        "a name that no upstream has is one's own: {output:?}"
    );
}

/// Of an image for several platforms, those that were pulled come along, and the rest is named.
#[test]
fn what_was_never_pulled_does_not_come_along() {
    let (hub, image) = hub();
    let (other, part) = (Image::small(9), Image::small(10));
    hub.add("library/redis", "other", &other);
    hub.add("library/redis", "part", &part);
    let child = |image: &Image, architecture: &str| {
        let mut child = descriptor(OCI_MANIFEST, &image.manifest);
        child["platform"] = json!({ "os": "linux", "architecture": architecture });
        child
    };
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
        child(&image, "amd64"), child(&other, "arm64"), child(&part, "s390x"),
    ]});
    let index = index.to_string().into_bytes();
    hub.add_manifest("library/redis", Some("all"), OCI_INDEX, &index);
    let server = mirror(&hub, &json!({}));
    let mut client = server.client();
    let all = "/v2/hub/library/redis/manifests/all";
    assert_eq!(client.get(all).body, index);
    let part_of = format!("/v2/hub/library/redis/manifests/{}", part.digest());
    assert_eq!(client.get(&part_of).status, 200);
    let keep = [
        "upstream",
        "keep",
        "hub/library/redis:all",
        "team/redis:all",
    ];
    assert_refused(&server, &keep, "pull hub/library/redis:all from here once");
    image.assert_pulls(&mut client, "hub/library/redis", &image.digest());
    // a client has the last byte before the blob is recorded
    eventually("what is whole is kept", || {
        server.cli(&keep).status.success()
    });
    let kept = printed(&server, &keep);
    assert_eq!(kept["missingCount"], json!(2));
    let mut missing: Vec<_> = kept["missing"].as_array().expect("a list").clone();
    missing.sort_by_key(ToString::to_string);
    assert_eq!(missing, [json!("linux/arm64"), json!("linux/s390x")]);
    assert_eq!(client.get("/v2/team/redis/manifests/all").body, index);
    image.assert_pulls(&mut client, "team/redis", &image.digest());
    for absent in [&other, &part] {
        let absent = format!("/v2/team/redis/manifests/{}", absent.digest());
        client.get(&absent).refused(404, "MANIFEST_UNKNOWN");
    }
    let verified = server.cli(&["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    // what is pulled later comes along with the next time
    other.assert_pulls(&mut client, "hub/library/redis", &other.digest());
    eventually("the other is kept", || {
        printed(&server, &keep)["missing"] == json!(["linux/s390x"])
    });
    other.assert_pulls(&mut client, "team/redis", &other.digest());
}

/// What never came along is no damage either after the image was deleted and restored, or recorded anew.
#[test]
fn a_kept_index_stays_whole_through_the_trash_and_a_repair() {
    let (hub, image) = hub();
    let other = Image::small(9);
    hub.add("library/redis", "other", &other);
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
        descriptor(OCI_MANIFEST, &image.manifest), descriptor(OCI_MANIFEST, &other.manifest),
    ]});
    let index = index.to_string().into_bytes();
    hub.add_manifest("library/redis", Some("all"), OCI_INDEX, &index);
    let server = mirror(&hub, &json!({}));
    let mut client = server.client();
    assert_eq!(
        client.get("/v2/hub/library/redis/manifests/all").body,
        index
    );
    image.assert_pulls(&mut client, "hub/library/redis", &image.digest());
    let keep = [
        "upstream",
        "keep",
        "hub/library/redis:all",
        "team/redis:all",
    ];
    eventually("it is kept", || server.cli(&keep).status.success());
    let is_whole = |client: &mut crate::support::Client| {
        let verified = server.cli(&["verify"]);
        assert_eq!(verified.status.code(), Some(0), "{verified:?}");
        assert_eq!(client.get("/v2/team/redis/manifests/all").body, index);
        image.assert_pulls(client, "team/redis", &image.digest());
    };
    is_whole(&mut client);
    let digest = sha256(&index);
    let removed = client.request("DELETE", &format!("/v2/team/redis/manifests/{digest}"));
    assert_eq!(removed.send().status, 202);
    let place = format!("team/redis@{digest}");
    let restored = server.cli(&["restore", &place]);
    assert!(restored.status.success(), "{restored:?}");
    is_whole(&mut client);
    // its references are recorded anew
    let database = rusqlite::Connection::open(server.directory().join("registry.db"));
    let lost = "DELETE FROM manifest_children WHERE parent_id IN (SELECT manifests.id FROM manifests JOIN repositories ON repositories.id = repository_id WHERE name = 'team/redis')";
    let lost = database.expect("a database").execute(lost, []);
    assert_eq!(lost.expect("a change"), 1);
    let found = server.cli(&["verify"]);
    assert_ne!(found.status.code(), Some(0), "{found:?}");
    let repaired = server.cli(&["verify", "--repair"]);
    let said = String::from_utf8_lossy(&repaired.stdout).into_owned();
    assert!(said.contains("repaired"), "{repaired:?}");
    is_whole(&mut client);
}

/// An image without its blobs is nobody's own, and nothing is made of it.
#[test]
fn what_nobody_could_pull_is_not_kept() {
    let (hub, image) = hub();
    let server = mirror(&hub, &json!({}));
    let mut client = server.client();
    assert_eq!(client.get(SEVEN).body, image.manifest);
    let keep = ["upstream", "keep", "hub/library/redis:7", "team/redis:7"];
    let said = assert_refused(&server, &keep, "pull hub/library/redis:7 from here once");
    assert!(
        image
            .layers
            .iter()
            .all(|layer| said.contains(&sha256(layer))),
        "{said}"
    );
    client
        .get("/v2/team/redis/tags/list")
        .refused(404, "NAME_UNKNOWN");
    let listed = String::from_utf8_lossy(&server.cli(&["ls"]).stdout).into_owned();
    assert!(!listed.contains("team/redis"), "{listed}");
}

/// A tag of one's own stays what it is.
#[test]
fn keeping_moves_no_tag() {
    let (hub, image) = hub();
    let server = mirror(&hub, &json!({}));
    let mut client = server.client();
    let own = Image::small(8);
    own.push(&mut client, "team/redis", "7");
    image.assert_pulls(&mut client, "hub/library/redis", "7");
    let keep = ["upstream", "keep", "hub/library/redis:7", "team/redis:8"];
    eventually("it is kept", || server.cli(&keep).status.success());
    printed(&server, &keep);
    let keep = ["upstream", "keep", "hub/library/redis:7", "team/redis:7"];
    assert_refused(&server, &keep, "keep hub/library/redis:7 under another tag");
    own.assert_pulls(&mut client, "team/redis", "7");
}

/// Reports on a cached image name where it is from, and since when its tag is not there any more.
#[test]
fn reports_name_the_upstream_and_what_is_gone_there() {
    let (hub, image) = hub();
    let server = mirror(&hub, &json!({ "fresh": "0s" }));
    let mut client = server.client();
    image.assert_pulls(&mut client, "hub/library/redis", "7");
    let keep = ["upstream", "keep", "hub/library/redis:7", "team/redis:7"];
    eventually("it is kept", || server.cli(&keep).status.success());
    let inspected = printed(&server, &["inspect", "hub/library/redis:7"]);
    assert_eq!(inspected["upstream"], json!(hub.url()));
    assert_eq!(inspected["goneTags"], json!([]));
    hub.change("library/redis", |held| held.tags.clear());
    assert_eq!(client.get(SEVEN).status, 200);
    let inspected = printed(&server, &["inspect", "hub/library/redis:7"]);
    let gone = &inspected["goneTags"][0];
    assert_eq!(gone["tag"], json!("7"));
    let why = printed(&server, &["why", "hub/library/redis:7"]);
    let chains = why["chains"].as_array().expect("a list");
    let of = |repository: &str| {
        let mut chains = chains.iter();
        chains.find(|chain| chain["repository"] == repository)
    };
    let cached = of("hub/library/redis").expect("a chain");
    assert_eq!(cached["upstream"], json!(hub.url()));
    assert_eq!(cached["end"]["tags"][0]["goneSince"], gone["since"]);
    let own = of("team/redis").expect("a chain");
    assert_eq!(own["upstream"], Value::Null);
    assert_eq!(own["end"]["tags"][0]["goneSince"], Value::Null);
    for list in [&["ls"][..], &["ls", "hub/library/redis"]] {
        let listed = printed(&server, list);
        let items = listed["repositories"]
            .as_array()
            .or_else(|| listed["tags"].as_array());
        let of = |item: &Value| (item["repository"].clone(), item["upstream"].clone());
        let cached = (json!("hub/library/redis"), json!(hub.url()));
        let items: Vec<_> = items.expect("a list").iter().map(of).collect();
        assert!(items.contains(&cached), "{listed}");
        let said = String::from_utf8_lossy(&server.cli(list).stdout).into_owned();
        assert!(
            said.contains("CACHED FROM") && said.contains(&hub.url()),
            "{said}"
        );
        let own = (json!("team/redis"), Value::Null);
        assert_eq!(items.contains(&own), list.len() == 1, "{listed}");
    }
    for command in ["inspect", "why"] {
        let output = server.cli(&[command, "hub/library/redis:7"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        for part in [&*hub.url(), "since 20"] {
            assert!(said.contains(part), "{part} in {said}");
        }
        let own = server.cli(&[command, "team/redis:7"]).stdout;
        let own = String::from_utf8_lossy(&own).into_owned();
        assert!(command == "why" || !own.contains(&hub.url()), "{own}");
    }
}

fn assert_refused(server: &Server, words: &[&str], sentence: &str) -> String {
    let output = server.cli(words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(sentence), "{said}");
    said
}
