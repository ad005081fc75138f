//! Deletion of tags, manifests and blobs; referenced content cannot be deleted.

use serde_json::json;

use crate::protocol::{digest_of, image, index, pointer, push, push_image, texts};
use crate::support::{Client, Server, sha256};

fn blob(repository: &str, content: &str) -> String {
    format!("/v2/{repository}/blobs/{}", sha256(content.as_bytes()))
}

fn assert_held(client: &mut Client, path: &str, holder: &str) {
    let refusal = client.delete(path);
    refusal.refused(405, "DENIED");
    assert!(
        refusal.header("allow").is_some(),
        "a 405 names what is allowed"
    );
    let error = refusal.json()["errors"][0].clone();
    assert_eq!(error["detail"]["holder"], holder);
    assert!(error["message"].as_str().unwrap().contains(holder));
    assert_eq!(
        client.head(path).status,
        200,
        "what could not be deleted is gone"
    );
}

#[test]
fn deleting_by_tag_only_untags() {
    let server = Server::start();
    let mut client = server.client();
    let manifest = push_image(&mut client, "a", "v1", "x");
    push(&mut client, "a", "v2", &manifest);
    assert_eq!(client.delete("/v2/a/manifests/v1").status, 202);
    client
        .get("/v2/a/manifests/v1")
        .refused(404, "MANIFEST_UNKNOWN");
    client
        .delete("/v2/a/manifests/v1")
        .refused(404, "MANIFEST_UNKNOWN");
    assert_eq!(texts(&client.get("/v2/a/tags/list").json()["tags"]), ["v2"]);
    assert_eq!(client.delete("/v2/a/manifests/v2").status, 202);
    // a repository with only untagged manifests still exists
    assert_eq!(
        client.get("/v2/a/tags/list").json(),
        json!({ "name": "a", "tags": [] })
    );
    assert_eq!(
        client
            .get(&format!("/v2/a/manifests/{}", digest_of(&manifest)))
            .status,
        200
    );
}

#[test]
fn deleting_by_digest_removes_tags_and_an_emptied_repository() {
    let server = Server::start();
    let mut client = server.client();
    let (one, two) = (
        push_image(&mut client, "a", "one", "1"),
        push_image(&mut client, "a", "two", "2"),
    );
    push(&mut client, "a", "uno", &one);
    push_image(&mut client, "b", "one", "1");
    let path = format!("/v2/a/manifests/{}", digest_of(&one));
    assert_eq!(client.delete(&path).status, 202);
    for gone in [&*path, "/v2/a/manifests/one", "/v2/a/manifests/uno"] {
        assert_eq!(client.head(gone).status, 404, "{gone}");
        client.delete(gone).refused(404, "MANIFEST_UNKNOWN");
    }
    assert_eq!(
        texts(&client.get("/v2/a/tags/list").json()["tags"]),
        ["two"]
    );
    assert_eq!(
        client.get("/v2/_catalog").json()["repositories"],
        json!(["a", "b"])
    );

    assert_eq!(
        client
            .delete(&format!("/v2/a/manifests/{}", digest_of(&two)))
            .status,
        202
    );
    client.get("/v2/a/tags/list").refused(404, "NAME_UNKNOWN");
    assert_eq!(
        client.get("/v2/_catalog").json()["repositories"],
        json!(["b"])
    );
    assert_eq!(
        client.get("/v2/b/manifests/one").body,
        one.to_string().into_bytes()
    );
    push(&mut client, "a", "two", &two);
    assert_eq!(
        client.get("/v2/_catalog").json()["repositories"],
        json!(["a", "b"])
    );
}

#[test]
fn a_blob_can_be_deleted_once_no_manifest_needs_it() {
    let server = Server::start();
    let mut client = server.client();
    let (one, two) = (
        push_image(&mut client, "a", "one", "1"),
        push_image(&mut client, "a", "two", "2"),
    );
    client.push_blob("a", b"extra");
    let mut third = image(b"{\"seed\":\"1\"}", &[b"layer 2", b"extra"]);
    third["annotations"] = json!({ "x": "y" });
    push(&mut client, "a", "three", &third);
    assert_held(&mut client, &blob("a", "extra"), &digest_of(&third));
    assert_held(
        &mut client,
        &blob("a", "{\"seed\":\"2\"}"),
        &digest_of(&two),
    );

    assert_eq!(client.delete("/v2/a/manifests/three").status, 202);
    assert_held(&mut client, &blob("a", "extra"), &digest_of(&third));
    assert_eq!(
        client
            .delete(&format!("/v2/a/manifests/{}", digest_of(&third)))
            .status,
        202
    );
    assert_eq!(client.delete(&blob("a", "extra")).status, 202);
    assert_held(&mut client, &blob("a", "layer 2"), &digest_of(&two));
    client
        .delete(&blob("a", "extra"))
        .refused(404, "BLOB_UNKNOWN");
    client.get(&blob("a", "extra")).refused(404, "BLOB_UNKNOWN");
    client
        .delete(&blob("unknown", "layer 1"))
        .refused(404, "BLOB_UNKNOWN");
    assert_eq!(client.get(&blob("a", "layer 1")).body, b"layer 1");
    assert_eq!(
        client
            .head(&format!("/v2/a/manifests/{}", digest_of(&one)))
            .status,
        200
    );
}

#[test]
fn a_deleted_blob_stays_in_other_repositories_and_can_be_pushed_again() {
    let server = Server::start();
    let mut client = server.client();
    for repository in ["a", "b"] {
        client.push_blob(repository, b"shared");
    }
    assert_eq!(client.delete(&blob("a", "shared")).status, 202);
    assert_eq!(client.head(&blob("a", "shared")).status, 404);
    assert_eq!(client.get(&blob("b", "shared")).body, b"shared");
    assert_eq!(client.delete(&blob("b", "shared")).status, 202);
    client.push_blob("a", b"shared");
    assert_eq!(client.get(&blob("a", "shared")).body, b"shared");
    assert_eq!(client.head(&blob("b", "shared")).status, 404);
}

#[test]
fn children_cannot_be_deleted_while_an_index_references_them() {
    let server = Server::start();
    let mut client = server.client();
    let child = push_image(&mut client, "a", "child", "1");
    let inner = index(&[pointer(&child)]);
    let outer = index(&[pointer(&inner)]);
    push(&mut client, "a", &digest_of(&inner), &inner);
    push(&mut client, "a", "outer", &outer);
    let path = |manifest| format!("/v2/a/manifests/{}", digest_of(manifest));
    assert_held(&mut client, &path(&child), &digest_of(&inner));
    assert_held(&mut client, &path(&inner), &digest_of(&outer));
    // a child's own tag does not matter
    assert_eq!(client.delete("/v2/a/manifests/child").status, 202);
    assert_held(&mut client, &path(&child), &digest_of(&inner));
    for manifest in [&outer, &inner, &child] {
        assert_eq!(client.delete(&path(manifest)).status, 202);
        assert_eq!(client.head(&path(manifest)).status, 404);
    }
    assert_eq!(client.delete(&blob("a", "layer 1")).status, 202);
}

/// A child present as a blob when its index is pushed, and pushed as a manifest later, is still
/// protected.
#[test]
fn a_child_first_pushed_as_a_blob_is_kept_as_a_manifest() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let child = image(b"{}", &[]);
    client.push_blob("a", child.to_string().as_bytes());
    let parent = index(&[pointer(&child)]);
    if crate::protocol::put(&mut client, "a", "parent", &parent).status != 201 {
        return;
    }
    push(&mut client, "a", "child", &child);
    assert_held(
        &mut client,
        &format!("/v2/a/manifests/{}", digest_of(&child)),
        &digest_of(&parent),
    );
}

#[test]
fn a_signature_does_not_hold_its_subject() {
    let server = Server::start();
    let mut client = server.client();
    let subject = push_image(&mut client, "a", "v1", "1");
    client.push_blob("a", b"{}");
    let signature =
        crate::protocol::artifact("application/vnd.example.signature", pointer(&subject));
    push(&mut client, "a", &digest_of(&signature), &signature);
    assert_eq!(
        client
            .delete(&format!("/v2/a/manifests/{}", digest_of(&subject)))
            .status,
        202
    );
    assert_eq!(
        client
            .delete(&format!("/v2/a/manifests/{}", digest_of(&signature)))
            .status,
        202
    );
    client.get("/v2/a/tags/list").refused(404, "NAME_UNKNOWN");
}
