//! Settings that change what the protocol answers.

use super::{image, push_image, put};
use crate::support::{Client, Image, OCI_MANIFEST, Server, descriptor, noise, sha256};

#[test]
fn disabled_deletes_are_refused() {
    let server = Server::with(&[("REGISTRY_STORAGE_DELETE_ENABLED", "false")]);
    let mut client = server.client();
    let manifest = push_image(&mut client, "a", "v1", "1");
    let (digest, layer) = (super::digest_of(&manifest), client.push_blob("a", b"loose"));
    for path in [
        "/v2/a/manifests/v1".to_owned(),
        format!("/v2/a/manifests/{digest}"),
        format!("/v2/a/blobs/{layer}"),
        "/v2/unknown/manifests/v1".to_owned(),
    ] {
        let refusal = client.delete(&path);
        refusal.refused(405, "UNSUPPORTED");
        assert!(
            refusal
                .header("allow")
                .is_some_and(|allowed| !allowed.contains("DELETE")),
            "{path}"
        );
    }
    assert_eq!(
        client.get("/v2/a/manifests/v1").body,
        manifest.to_string().into_bytes()
    );
    assert_eq!(client.head(&format!("/v2/a/blobs/{layer}")).status, 200);
    // an unfinished upload may still be cancelled
    let location = client.begin_upload("a");
    assert_eq!(client.delete(&location).status, 204);
}

/// Asserts that nothing new is accepted, and that the upload at `location` keeps its bytes.
fn assert_pushes_refused(client: &mut Client, location: &str) {
    let digest = sha256(b"new");
    let requests = [
        ("POST", "/v2/a/blobs/uploads/".to_owned(), &b""[..]),
        (
            "POST",
            format!("/v2/a/blobs/uploads/?digest={digest}"),
            b"new",
        ),
        ("POST", format!("/v2/b/blobs/uploads/?mount={digest}"), b""),
        ("PATCH", location.to_owned(), b"more"),
        ("PUT", format!("{location}&digest={digest}"), b"more"),
    ];
    for (method, path, body) in requests {
        let request = client.request(method, &path);
        let answer = match body {
            [] => request.send(),
            body => request.body(body).send(),
        };
        answer.refused(507, "UNAVAILABLE");
    }
    put(client, "a", "v2", &super::index(&[])).refused(507, "UNAVAILABLE");
    assert_eq!(
        client.get(location).header("range"),
        Some("0-4"),
        "a refusal must not cost what had arrived"
    );
}

#[test]
fn a_full_disk_refuses_pushes_but_serves_and_deletes() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("data");
    let image = Image::new("before", vec![noise(1, 100_000)]);
    let mut server = Server::at(&path, &[]);
    image.push(&mut server.client(), "a", "v1");
    let location = server.client().begin_upload("a");
    assert_eq!(
        server
            .client()
            .request("PATCH", &location)
            .body(b"begun")
            .send()
            .status,
        202
    );
    assert!(server.stop().success());

    let server = Server::at(
        &path,
        &[("REGISTRY_STORAGE_RESERVE", "18446744073709551615")],
    );
    let mut client = server.client();
    assert_pushes_refused(&mut client, &location);
    image.assert_pulls(&mut client, "a", "v1");
    assert_eq!(
        super::texts(&client.get("/v2/a/tags/list").json()["tags"]),
        ["v1"]
    );
    assert_eq!(client.delete(&location).status, 204);
    assert!(server.upload_files().is_empty());
    assert_eq!(
        client
            .delete(&format!("/v2/a/manifests/{}", image.digest()))
            .status,
        202
    );
    for blob in image.layers.iter().chain([&image.config]) {
        assert_eq!(
            client
                .delete(&format!("/v2/a/blobs/{}", sha256(blob)))
                .status,
            202
        );
    }
    client.get("/v2/a/tags/list").refused(404, "NAME_UNKNOWN");
}

#[test]
fn the_manifest_limit_is_configurable() {
    let server = Server::with(&[("REGISTRY_MANIFESTS_LIMIT", "1000")]);
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let mut manifest = image(b"{}", &[]);
    assert_eq!(put(&mut client, "a", "small", &manifest).status, 201);
    manifest["layers"] = vec![descriptor("application/x", b"{}"); 8].into();
    let refusal = client.put_manifest("a", "large", OCI_MANIFEST, manifest.to_string().as_bytes());
    refusal.refused(413, "MANIFEST_INVALID");
    assert!(
        refusal.json()["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("1000")
    );
}
