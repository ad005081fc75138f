//! Pointing a tag at what another tag has.

use tempfile::TempDir;

use super::{json, push_index, refusal, text};
use crate::support::{Image, OCI_MANIFEST, Server, descriptor, eventually};

#[test]
fn an_index_is_promoted_to_another_repository_without_copying() {
    let server = Server::start();
    let mut client = server.client();
    let index = push_index(&mut client);
    let files = server.blob_files().len();
    let moved = json(&server, &["tag", "team/app:v1", "prod/app:stable"]);
    assert_eq!(moved["digest"], index);
    assert!(moved["was"].is_null(), "{moved}");
    assert_eq!(server.blob_files().len(), files, "bytes were copied");

    // nothing of it hangs on the repository it came from
    text(&server, &["rm", "team/app"]);
    let inspected = json(&server, &["inspect", "prod/app:stable"]);
    let children = inspected["manifest"]["manifests"]
        .as_array()
        .expect("children");
    assert_eq!(children.len(), 2);
    for child in children {
        let digest = child["digest"].as_str().expect("a digest");
        let answer = client.get(&format!("/v2/prod/app/manifests/{digest}"));
        assert_eq!(answer.status, 200, "{digest}");
        let manifest = answer.json();
        let layers = manifest["layers"].as_array().expect("layers");
        for blob in layers.iter().chain([&manifest["config"]]) {
            let blob = blob["digest"].as_str().expect("a digest");
            assert_eq!(
                client.get(&format!("/v2/prod/app/blobs/{blob}")).status,
                200
            );
        }
    }
    let who = json(&server, &["tag", "history", "prod/app:stable"])["states"][0]["who"].clone();
    assert!(
        who["name"].is_string(),
        "somebody at the shell did that: {who}"
    );
}

#[test]
fn a_tag_is_moved_in_its_repository_and_back() {
    let server = Server::with(&[(
        "REGISTRY_POLICIES",
        "[{repositories: '**', immutable: ['v*']}]",
    )]);
    let mut client = server.client();
    let (one, two) = (Image::small(1), Image::small(2));
    one.push(&mut client, "app", "1");
    two.push(&mut client, "app", "2");
    assert!(text(&server, &["tag", "app:1", "app:prod"]).contains("which is app:1"));
    one.assert_pulls(&mut client, "app", "prod");
    let by_digest = format!("app@{}", two.digest());
    assert!(
        text(&server, &["tag", &by_digest, "app:prod"]).contains("registry tag restore app:prod")
    );
    two.assert_pulls(&mut client, "app", "prod");
    text(&server, &["tag", "restore", "app:prod"]);
    one.assert_pulls(&mut client, "app", "prod");
    assert!(text(&server, &["tag", "app:1", "app:prod"]).contains("already"));

    text(&server, &["tag", "app:1", "other:v1"]);
    assert!(refusal(&server, &["tag", "app:2", "other:v1"]).contains("immutable"));
    one.assert_pulls(&mut client, "other", "v1");
    assert!(refusal(&server, &["tag", "app:3", "app:prod"]).contains("manifest 3 is not in"));
    assert!(refusal(&server, &["tag", "app:3", "new:prod"]).contains("manifest 3 is not in"));
    assert_eq!(client.get("/v2/new/tags/list").status, 404);
    let sentence = refusal(&server, &["tag", "app:1", "other"]);
    for name in ["app:other", "other:TAG"] {
        assert!(sentence.contains(name), "{sentence}");
    }
}

/// A promotion is refused wherever a push into the target would be.
#[test]
fn the_rules_for_pushes_apply() {
    let directory = TempDir::new().expect("a directory");
    let data = directory.path().join("data");
    let mut server = Server::at(&data, &[]);
    let mut client = server.client();
    client.push_blob("app", b"{}");
    let mut layer = descriptor("application/vnd.oci.image.layer.v1.tar", b"elsewhere");
    layer["urls"] = serde_json::json!(["https://example.com/layer"]);
    layer["mediaType"] = "application/vnd.oci.image.layer.nondistributable.v1.tar".into();
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [layer],
        "config": descriptor("application/vnd.oci.image.config.v1+json", b"{}"),
    });
    let manifest = manifest.to_string();
    let pushed = client.put_manifest("app", "1", OCI_MANIFEST, manifest.as_bytes());
    assert_eq!(pushed.status, 201);
    text(&server, &["tag", "app:1", "prod:1"]);
    assert!(server.stop().success());

    let server = Server::at(&data, &[("REGISTRY_VALIDATION_ENABLED", "true")]);
    eventually("the server's rules are recorded", || {
        !server.cli(&["tag", "app:1", "prod:2"]).status.success()
    });
    for target in ["prod:3", "app:3"] {
        let sentence = refusal(&server, &["tag", "app:1", target]);
        assert!(sentence.contains("validation.manifests.urls"), "{sentence}");
    }
}

#[test]
fn a_tag_alone_is_one_of_the_same_repository() {
    let server = Server::start();
    let mut client = server.client();
    let image = Image::small(1);
    image.push(&mut client, "team/app", "1");
    image.push(&mut client, "prod", "1");
    for (typed, tag) in [
        ("staging", "staging"),
        ("RC_1", "RC_1"),
        (":prod", "prod"),
        ("deadbeef", "deadbeef"),
    ] {
        let said = text(&server, &["tag", "team/app:1", typed]);
        assert!(said.contains(&format!("tag {tag} of team/app ")), "{said}");
        image.assert_pulls(&mut client, "team/app", tag);
    }
    let ambiguous = refusal(&server, &["tag", "team/app:1", "prod"]);
    assert!(ambiguous.contains("write team/app:prod for the tag, or prod:TAG"));
    let whole = refusal(&server, &["tag", "team/app:1", "other/app"]);
    assert!(whole.contains("write other/app:TAG"), "{whole}");
}
