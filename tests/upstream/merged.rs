//! Lists of mirrors: what is here and what is upstream, as one.

use serde_json::{Value, json};

use super::mirror::{hub, mirror};
use crate::support::hub::{Hub, Part};
use crate::support::{Client, Image, OCI_MANIFEST, descriptor, eventually, sha256};

const TAGS: &str = "/v2/hub/library/redis/tags/list";

fn add_signature(hub: &Hub, image: &Image, content: &[u8]) -> String {
    let signature = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [],
        "config": descriptor("application/vnd.oci.empty.v1+json", content),
        "subject": descriptor(OCI_MANIFEST, &image.manifest),
    });
    let signature = signature.to_string().into_bytes();
    hub.add_manifest("library/redis", None, OCI_MANIFEST, &signature);
    sha256(&signature)
}

/// Follows the links of a list; returns all of its entries.
fn pages(client: &mut Client, first: &str, key: &str) -> Vec<Value> {
    let (mut next, mut all) = (Some(first.to_owned()), Vec::new());
    while let Some(path) = next {
        let page = client.get(&path);
        assert_eq!(page.status, 200, "{path}");
        all.extend(page.json()[key].as_array().expect("a list").clone());
        next = page.header("link").map(|link| {
            let (target, _) = link.split_once('>').expect("a target");
            target[1..].to_owned()
        });
        assert!(all.len() < 100, "it has no end");
    }
    all
}

#[test]
fn tags_upstream_are_listed_with_those_here() {
    let (hub, image) = hub();
    for tag in ["5", "6", "8"] {
        hub.add("library/redis", tag, &Image::small(1));
    }
    hub.behave(|behaviour| behaviour.page = 3);
    let server = mirror(&hub, &json!({}));
    let mut client = server.client();
    let before = client.get(TAGS).json();
    assert_eq!(before["tags"], json!(["5", "6", "7", "8"]));
    assert_eq!(before["cached"], json!([]));
    image.assert_pulls(&mut client, "hub/library/redis", "7");
    hub.seen();
    let after = client.get(TAGS).json();
    assert_eq!(after["tags"], json!(["5", "6", "7", "8"]));
    assert_eq!(after["cached"], json!(["7"]));
    for path in [
        format!("{TAGS}?n=1"),
        format!("{TAGS}?n=3"),
        "/v2/library/redis/tags/list?ns=docker.io".to_owned(),
    ] {
        let all = pages(&mut client, &path, "tags");
        assert_eq!(json!(all), json!(["5", "6", "7", "8"]), "{path}");
    }
    assert!(hub.seen().is_empty(), "pages are cut from one list");
    // what is here stays, and is told from what is gone
    let server = mirror(&hub, &json!({ "fresh": "0s" }));
    let mut client = server.client();
    image.assert_pulls(&mut client, "hub/library/redis", "7");
    hub.change("library/redis", |held| {
        held.tags.remove("7");
    });
    let merged = client.get(TAGS).json();
    assert_eq!(merged["tags"], json!(["5", "6", "7", "8"]));
    assert_eq!(merged["cached"], json!(["7"]));
    // a plain repository has a plain list
    image.push(&mut client, "own/app", "v1");
    let own = client.get("/v2/own/app/tags/list").json();
    assert_eq!(own, json!({ "name": "own/app", "tags": ["v1"] }));
}

#[test]
fn lists_of_an_upstream_that_fails_show_what_is_here() {
    let (hub, image) = hub();
    let server = mirror(&hub, &json!({ "fresh": "0s" }));
    let mut client = server.client();
    hub.behave(|behaviour| behaviour.statuses = [(429, "")].into());
    client.get(TAGS).refused(429, "TOOMANYREQUESTS");
    image.assert_pulls(&mut client, "hub/library/redis", "7");
    hub.behave(|behaviour| behaviour.statuses = [(503, "")].into());
    let listed = client.get(TAGS);
    assert_eq!(listed.json()["tags"], json!(["7"]));
    assert!(listed.header("warning").is_some());
    let server = mirror(&hub, &json!({}));
    server
        .client()
        .get("/v2/hub/none/such/tags/list")
        .refused(404, "NAME_UNKNOWN");
}

#[test]
fn referrers_upstream_are_listed_and_can_be_pulled() {
    let (hub, image) = hub();
    let mut signatures: Vec<_> = [&b"{}"[..], b"{\"a\":1}"]
        .iter()
        .map(|content| add_signature(&hub, &image, content))
        .collect();
    signatures.sort();
    let server = mirror(&hub, &json!({}));
    let mut client = server.client();
    image.assert_pulls(&mut client, "hub/library/redis", "7");
    let path = format!("/v2/hub/library/redis/referrers/{}", image.digest());
    let listed = |client: &mut Client| -> Vec<String> {
        let found = pages(client, &path, "manifests");
        let digest = |entry: &Value| entry["digest"].as_str().expect("a digest").to_owned();
        found.iter().map(digest).collect()
    };
    assert_eq!(listed(&mut client), signatures);
    // once one of them is here, it is still there once
    let manifest = format!("/v2/hub/library/redis/manifests/{}", signatures[1]);
    assert_eq!(client.get(&manifest).status, 200);
    assert_eq!(listed(&mut client), signatures);
    hub.seen();
    let server = mirror(&hub, &json!({ "fresh": "0s" }));
    let mut client = server.client();
    assert_eq!(client.get(&manifest).status, 200);
    hub.behave(|behaviour| behaviour.statuses = [(503, "")].into());
    let answer = client.get(&path);
    assert!(answer.header("warning").is_some());
    assert_eq!(
        answer.json()["manifests"][0]["digest"],
        json!(signatures[1])
    );
    // where the upstream has no such lists, clients keep them as a tag
    hub.behave(|behaviour| behaviour.knows_referrers = false);
    let index = json!({ "schemaVersion": 2, "mediaType": crate::support::OCI_INDEX, "manifests": [
        { "mediaType": OCI_MANIFEST, "digest": signatures[0], "size": 1 },
    ]});
    let tag = image.digest().replace(':', "-");
    let bytes = index.to_string().into_bytes();
    hub.add_manifest(
        "library/redis",
        Some(&tag),
        crate::support::OCI_INDEX,
        &bytes,
    );
    // a failure is not asked for again at once
    eventually("the list comes", || listed(&mut client) == signatures);
    assert!(!hub.seen_by(Part::Registry).is_empty());
}
