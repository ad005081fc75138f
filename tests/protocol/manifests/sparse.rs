//! Sparse manifests, as mirrors need them: accepted if configured, without weakening the protection
//! of their parts.

use crate::protocol::{LAYER, digest_of, image, index, pointer, push, put};
use crate::support::{Client, OCI_MANIFEST, Server, descriptor, sha256};

fn sparse() -> Server {
    Server::with(&[("REGISTRY_MANIFESTS_SPARSE", "true")])
}

fn assert_held(client: &mut Client, path: &str, holder: &str) {
    let refusal = client.delete(path);
    refusal.refused(405, "DENIED");
    assert_eq!(
        refusal.json()["errors"][0]["detail"]["holder"],
        holder,
        "{path}"
    );
}

#[test]
fn missing_content_may_be_pushed_later_and_is_then_protected() {
    let server = sparse();
    let mut client = server.client();
    let child = image(b"{}", &[b"layer"]);
    let parent = index(&[pointer(&child), descriptor(OCI_MANIFEST, b"never comes")]);
    let (child_digest, parent_digest) = (digest_of(&child), push(&mut client, "a", "v1", &parent));
    assert_eq!(
        client.get("/v2/a/manifests/v1").body,
        parent.to_string().into_bytes()
    );
    client
        .get(&format!("/v2/a/manifests/{child_digest}"))
        .refused(404, "MANIFEST_UNKNOWN");

    push(&mut client, "a", &child_digest, &child);
    assert_held(
        &mut client,
        &format!("/v2/a/manifests/{child_digest}"),
        &parent_digest,
    );
    client
        .get(&format!("/v2/a/blobs/{}", sha256(b"layer")))
        .refused(404, "BLOB_UNKNOWN");
    let layer = format!("/v2/a/blobs/{}", client.push_blob("a", b"layer"));
    assert_held(&mut client, &layer, &child_digest);
    // a mount counts as a push
    let config = client.push_blob("elsewhere", b"{}");
    let mounted = client
        .request(
            "POST",
            &format!("/v2/a/blobs/uploads/?mount={config}&from=elsewhere"),
        )
        .send();
    assert_eq!(mounted.status, 201);
    assert_held(&mut client, &format!("/v2/a/blobs/{config}"), &child_digest);
    assert_eq!(
        client
            .delete(&format!("/v2/elsewhere/blobs/{config}"))
            .status,
        202
    );

    for digest in [&parent_digest, &child_digest] {
        assert_eq!(
            client.delete(&format!("/v2/a/manifests/{digest}")).status,
            202
        );
    }
    assert_eq!(client.delete(&layer).status, 202);
}

/// Content pushed to one repository fills no gap in another.
#[test]
fn a_push_to_another_repository_fills_no_gap() {
    let server = sparse();
    let mut client = server.client();
    client.push_blob("b", b"layer");
    let manifest = image(b"{}", &[b"layer"]);
    push(&mut client, "a", "v1", &manifest);
    client
        .get(&format!("/v2/a/blobs/{}", sha256(b"layer")))
        .refused(404, "BLOB_UNKNOWN");
    assert_eq!(
        client
            .delete(&format!("/v2/b/blobs/{}", sha256(b"layer")))
            .status,
        202
    );
}

/// A missing child may be pushed as a blob first, and as a manifest later.
#[test]
fn a_child_pushed_as_a_blob_first_is_protected_as_both() {
    let server = sparse();
    let mut client = server.client();
    let child = image(b"{}", &[]);
    let parent = index(&[pointer(&child)]);
    let parent_digest = push(&mut client, "a", "v1", &parent);
    let digest = client.push_blob("a", child.to_string().as_bytes());
    assert_held(
        &mut client,
        &format!("/v2/a/blobs/{digest}"),
        &parent_digest,
    );
    push(&mut client, "a", "child", &child);
    assert_held(
        &mut client,
        &format!("/v2/a/manifests/{digest}"),
        &parent_digest,
    );
}

/// Each of several manifests that miss the same content comes to hold it.
#[test]
fn content_missing_in_several_manifests_is_held_by_all() {
    let server = sparse();
    let mut client = server.client();
    let (one, two) = (
        image(b"{}", &[b"layer"]),
        image(b"{\"two\":2}", &[b"layer", b"layer"]),
    );
    push(&mut client, "a", "one", &one);
    push(&mut client, "a", "two", &two);
    let layer = format!("/v2/a/blobs/{}", client.push_blob("a", b"layer"));
    assert_eq!(
        client
            .delete(&format!("/v2/a/manifests/{}", digest_of(&one)))
            .status,
        202
    );
    assert_held(&mut client, &layer, &digest_of(&two));
    assert_eq!(
        client
            .delete(&format!("/v2/a/manifests/{}", digest_of(&two)))
            .status,
        202
    );
    assert_eq!(client.delete(&layer).status, 202);
}

#[test]
fn sparse_manifests_stay_valid_after_the_setting_is_disabled() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("data");
    let manifest = index(&[
        descriptor(OCI_MANIFEST, b"missing"),
        descriptor(LAYER, b"this too"),
    ]);
    let mut mirror = Server::at(&path, &[("REGISTRY_MANIFESTS_SPARSE", "true")]);
    push(&mut mirror.client(), "a", "v1", &manifest);
    assert!(mirror.stop().success());
    let server = Server::at(&path, &[]);
    let mut client = server.client();
    assert_eq!(
        client.get("/v2/a/manifests/v1").body,
        manifest.to_string().into_bytes()
    );
    put(&mut client, "b", "v1", &manifest).refused(400, "MANIFEST_BLOB_UNKNOWN");
}
