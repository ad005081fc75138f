//! Cross-repository blob mounts.

use crate::protocol::{image, push, put, sha512};
use crate::support::{Client, Response, Server, sha256};

fn mount(client: &mut Client, repository: &str, query: &str) -> Response {
    client
        .request("POST", &format!("/v2/{repository}/blobs/uploads/?{query}"))
        .send()
}

#[test]
fn a_mounted_blob_equals_a_pushed_one() {
    let server = Server::start();
    let mut client = server.client();
    let digest = client.push_blob("base/image", b"layer");
    for (repository, from) in [
        ("one", "&from=base/image"),
        ("two", "&from=base%2Fimage"),
        ("three", ""),
        ("four", "&from="),
        ("base/image", "&from=base/image"),
    ] {
        let response = mount(&mut client, repository, &format!("mount={digest}{from}"));
        assert_eq!(response.status, 201, "{repository}{from}: {response:?}");
        assert_eq!(
            response.header("location"),
            Some(&*format!("/v2/{repository}/blobs/{digest}"))
        );
        assert_eq!(response.header("docker-content-digest"), Some(&*digest));
        assert_eq!(
            client.get(&format!("/v2/{repository}/blobs/{digest}")).body,
            b"layer"
        );
        push(&mut client, repository, "v1", &image(b"layer", &[b"layer"]));
        client
            .delete(&format!("/v2/{repository}/blobs/{digest}"))
            .refused(405, "DENIED");
    }
    assert_eq!(server.blob_files().len(), 1);
    assert!(server.upload_files().is_empty());
}

#[test]
fn a_failed_mount_becomes_an_upload() {
    let server = Server::start();
    let mut client = server.client();
    let digest = client.push_blob("base", b"layer");
    let absent = sha256(b"absent");
    for query in [
        format!("mount={digest}&from=unknown"),
        format!("mount={digest}&from=ba"),
        format!("mount={absent}&from=base"),
        format!("mount={absent}"),
        format!("mount={}&from=base", sha512(b"layer")),
    ] {
        let response = mount(&mut client, "app", &query);
        assert_eq!(response.status, 202, "{query}");
        let location = response.header("location").expect("a location").to_owned();
        assert!(location.starts_with("/v2/app/blobs/uploads/"));
        assert_eq!(
            client.head(&format!("/v2/app/blobs/{digest}")).status,
            404,
            "{query}"
        );
        assert_eq!(client.delete(&location).status, 204);
    }
    put(&mut client, "app", "v1", &image(b"layer", &[])).refused(400, "MANIFEST_BLOB_UNKNOWN");
    client.get("/v2/app/tags/list").refused(404, "NAME_UNKNOWN");

    let response = mount(&mut client, "app", &format!("mount={}", sha512(b"late")));
    let path = format!(
        "{}&digest={}",
        response.header("location").unwrap(),
        sha512(b"late")
    );
    assert_eq!(
        client.request("PUT", &path).body(b"late").send().status,
        201
    );
    assert_eq!(
        mount(
            &mut client,
            "base",
            &format!("mount={}&from=app", sha512(b"late"))
        )
        .status,
        201
    );
}

/// Some clients try repository names of other registries, invalid here.
#[test]
fn an_invalid_source_counts_as_unknown() {
    let server = Server::start();
    let mut client = server.client();
    let digest = client.push_blob("base", b"layer");
    for from in [
        "Upper/Case",
        "docker.io/library/a:b",
        "..",
        "a//b",
        &"a".repeat(300),
    ] {
        let response = mount(&mut client, "app", &format!("mount={digest}&from={from}"));
        assert_eq!(
            response.status,
            202,
            "{from}: {}",
            String::from_utf8_lossy(&response.body)
        );
    }
}

#[test]
fn a_blob_of_no_repository_is_not_mounted() {
    let server = Server::start();
    let mut client = server.client();
    let digest = client.push_blob("base", b"layer");
    assert_eq!(
        client.delete(&format!("/v2/base/blobs/{digest}")).status,
        202
    );
    for query in [
        format!("mount={digest}&from=base"),
        format!("mount={digest}"),
    ] {
        assert_eq!(mount(&mut client, "app", &query).status, 202);
        assert_eq!(client.head(&format!("/v2/app/blobs/{digest}")).status, 404);
    }
}
