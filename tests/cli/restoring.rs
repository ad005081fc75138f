//! Restoring deleted content.

use std::time::Duration;

use serde_json::json as value;

use super::{json, push_index, refusal, text, texts, with_fast_collection};
use crate::support::{
    Client, Image, OCI_INDEX, OCI_MANIFEST, Server, descriptor, eventually, sha256,
};

fn delete(client: &mut Client, repository: &str, digest: &str) {
    assert_eq!(
        client
            .delete(&format!("/v2/{repository}/manifests/{digest}"))
            .status,
        202,
        "{digest}"
    );
}

/// Indexes may be nested to any depth, and each level must not cost a call inside another.
#[test]
fn deeply_nested_indexes_are_restored() {
    const LEVELS: usize = 1000;
    let server = Server::start();
    let mut client = server.client();
    let image = Image::small(1);
    image.push(&mut client, "app", "v1");
    let mut below = descriptor(OCI_MANIFEST, &image.manifest);
    let mut top = String::new();
    for _ in 0..LEVELS {
        let index = value!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [below] });
        let index = index.to_string().into_bytes();
        top = sha256(&index);
        let response = client.put_manifest("app", &top, OCI_INDEX, &index);
        assert_eq!(response.status, 201, "{response:?}");
        below = descriptor(OCI_INDEX, &index);
    }
    json(&server, &["rm", "app"]);
    let restored = json(&server, &["restore", &format!("app@{top}")]);
    assert_eq!(restored["restored"][0]["childCount"], LEVELS);
    image.assert_pulls(&mut client, "app", "v1");
}

#[test]
fn restorable_manifests_are_listed() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(json(&server, &["restore"])["restorable"], value!([]));
    let (image, other) = (Image::small(1), Image::small(2));
    image.push(&mut client, "app", "v1");
    image.push(&mut client, "app", "latest");
    other.push(&mut client, "web", "v1");
    delete(&mut client, "app", &image.digest());
    assert_eq!(client.delete("/v2/web/manifests/v1").status, 202);

    let list = json(&server, &["restore"])["restorable"].clone();
    let (manifest, tag) = (&list[0], &list[1]);
    assert_eq!(
        (
            &manifest["kind"],
            &manifest["repository"],
            &manifest["digest"]
        ),
        (&"manifest".into(), &"app".into(), &image.digest().into())
    );
    assert_eq!(texts(&manifest["tags"]), ["latest", "v1"]);
    assert_eq!(
        manifest["size"],
        image.manifest.len() + image.config.len() + 1000
    );
    assert_eq!(manifest["who"]["address"], "127.0.0.1");
    assert_eq!(
        (&tag["kind"], &tag["repository"], &tag["digest"]),
        (&"tag".into(), &"web".into(), &other.digest().into())
    );
    for row in [manifest, tag] {
        let time = |name: &str| crate::support::parse_time(row[name].as_str().expect("a time"));
        assert_eq!(
            time("until")
                .duration_since(time("deleted"))
                .expect("later"),
            Duration::from_secs(24 * 3600),
            "the grace period"
        );
    }
    let table = text(&server, &["restore"]);
    assert!(
        table.contains("latest,v1") && table.contains(&other.digest()),
        "{table}"
    );
}

#[test]
fn an_index_is_restored_with_children_and_signature() {
    let server = Server::start();
    let mut client = server.client();
    let index = push_index(&mut client);
    let inspected = json(&server, &["inspect", "team/app:v1"]);
    let signature = inspected["referrers"][0]["digest"]
        .as_str()
        .expect("a signature")
        .to_owned();
    let children: Vec<_> = (0..2)
        .map(|n| {
            inspected["manifest"]["manifests"][n]["digest"]
                .as_str()
                .expect("a child")
                .to_owned()
        })
        .collect();
    client.put_manifest(
        "team/app",
        "arm",
        crate::support::OCI_MANIFEST,
        &client_manifest(&server, &children[1]),
    );
    for digest in [&index, &children[0], &children[1], &signature] {
        delete(&mut client, "team/app", digest);
    }
    client
        .get("/v2/team/app/tags/list")
        .refused(404, "NAME_UNKNOWN");

    let restored = json(&server, &["restore", &format!("team/app@{index}")])["restored"].clone();
    assert_eq!(
        (&restored[0]["digest"], &restored[0]["childCount"]),
        (&index.as_str().into(), &3.into()),
        "its children and its signature"
    );
    assert_eq!(
        texts(&restored[0]["tags"]).len(),
        2,
        "its own tag and its child's: {restored}"
    );
    assert_eq!(
        json(&server, &["inspect", "team/app:v1"])["manifest"],
        inspected["manifest"]
    );
    assert_eq!(
        json(&server, &["inspect", "team/app:v1"])["referrers"],
        inspected["referrers"]
    );
    assert_eq!(client.get("/v2/team/app/manifests/arm").status, 200);
    assert!(
        refusal(&server, &["restore", &format!("team/app@{index}")]).contains(&index),
        "it is there"
    );
}

/// A manifest's bytes as served.
fn client_manifest(server: &Server, digest: &str) -> Vec<u8> {
    server
        .client()
        .get(&format!("/v2/team/app/manifests/{digest}"))
        .body
}

#[test]
fn a_whole_repository_is_restored() {
    let server = Server::start();
    let mut client = server.client();
    let index = push_index(&mut client);
    let image = Image::small(7);
    image.push(&mut client, "team/app", "extra");
    Image::small(8).push(&mut client, "team/app", "gone-alone");
    assert_eq!(
        client.delete("/v2/team/app/manifests/gone-alone").status,
        202
    );
    let before = json(&server, &["ls", "team/app"])["tags"].clone();
    text(&server, &["rm", "team/app"]);
    client
        .get("/v2/team/app/tags/list")
        .refused(404, "NAME_UNKNOWN");

    let restored = json(&server, &["restore", "team/app"])["restored"].clone();
    assert!(
        restored.as_array().is_some_and(|all| !all.is_empty()),
        "{restored}"
    );
    let mut tags: Vec<_> = client.get("/v2/team/app/tags/list").json()["tags"]
        .as_array()
        .expect("tags")
        .clone();
    // the manifest removed earlier by itself is restored too: it was still in the trash
    tags.retain(|tag| tag != "gone-alone");
    assert_eq!(tags, [value!("extra"), value!("v1")]);
    let after = json(&server, &["ls", "team/app"])["tags"].clone();
    let sizes = |list: &serde_json::Value| -> Vec<_> {
        let rows = list
            .as_array()
            .expect("rows")
            .iter()
            .filter(|row| row["tag"] != "gone-alone");
        rows.map(|row| {
            (
                row["tag"].clone(),
                row["digest"].clone(),
                row["size"].clone(),
            )
        })
        .collect()
    };
    assert_eq!(sizes(&before), sizes(&after));
    assert_eq!(
        client
            .get(&format!("/v2/team/app/manifests/{index}"))
            .status,
        200
    );
    image.assert_pulls(&mut client, "team/app", "extra");
    assert_eq!(
        json(&server, &["restore"])["restorable"],
        value!([]),
        "nothing is left to be brought back"
    );
}

#[test]
fn the_last_holder_of_a_tag_gets_it_back() {
    let server = Server::start();
    let mut client = server.client();
    let images = [Image::small(1), Image::small(2), Image::small(3)];
    for image in &images {
        image.push(&mut client, "app", "latest");
        delete(&mut client, "app", &image.digest());
        std::thread::sleep(Duration::from_millis(5));
    }
    text(&server, &["restore", "app"]);
    images[2].assert_pulls(&mut client, "app", "latest");
    for image in &images {
        image.assert_pulls(&mut client, "app", &image.digest());
    }
}

#[test]
fn a_removed_tag_is_restored_and_an_existing_one_kept() {
    let server = Server::start();
    let mut client = server.client();
    let image = Image::small(1);
    image.push(&mut client, "app", "v1");
    assert!(refusal(&server, &["restore", "app:v1"]).contains("registry tag restore"));
    text(&server, &["rm", "app:v1"]);
    assert_eq!(client.get("/v2/app/manifests/v1").status, 404);
    assert!(text(&server, &["restore", "app:v1"]).contains(&image.digest()));
    image.assert_pulls(&mut client, "app", "v1");
}

#[test]
fn nothing_is_restored_after_the_grace_period() {
    let image = Image::small(1);
    let (_directory, server) = with_fast_collection(&[], |client| image.push(client, "app", "v1"));
    delete(&mut server.client(), "app", &image.digest());
    eventually("the trash is empty", || {
        json(&server, &["restore"])["restorable"] == value!([])
    });
    let sentence = refusal(&server, &["restore", &format!("app@{}", image.digest())]);
    assert!(
        sentence.contains("its undo ended on 20") && !sentence.contains("gc --now"),
        "{sentence}"
    );
}
