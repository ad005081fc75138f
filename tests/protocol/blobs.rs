//! Pulling blobs.

use super::{CONFIG, Wire, image, push, sha512};
use crate::support::{Server, noise, sha256};

/// Sizes around which the server changes its method of sending.
const SIZES: [usize; 9] = [
    0,
    1,
    1000,
    65_535,
    65_536,
    65_537,
    (2 << 20) - 1,
    2 << 20,
    (5 << 20) + 3,
];

#[test]
fn blobs_of_every_size_are_served_completely() {
    let server = Server::start();
    let mut client = server.client();
    for (seed, size) in (1..).zip(SIZES) {
        let content = noise(seed, size);
        let path = format!(
            "/v2/some/blobs/blobs/{}",
            client.push_blob("some/blobs", &content)
        );
        let (head, got) = (client.head(&path), client.get(&path));
        assert!(got.body == content, "{size} bytes came back changed");
        for response in [&head, &got] {
            assert_eq!(response.status, 200);
            let digest = sha256(&content);
            for (name, expected) in [
                ("content-length", &*size.to_string()),
                ("content-type", "application/octet-stream"),
                ("docker-content-digest", &digest),
                ("etag", &format!("\"{digest}\"")),
                ("accept-ranges", "bytes"),
                ("cache-control", "max-age=31536000"),
                ("docker-distribution-api-version", "registry/2.0"),
            ] {
                assert_eq!(
                    response.header(name),
                    Some(expected),
                    "{name} of {size} bytes"
                );
            }
            assert_eq!(response.header("content-encoding"), None);
        }
    }
}

#[test]
fn blobs_with_a_matching_etag_are_not_sent_again() {
    let server = Server::start();
    let mut client = server.client();
    let digest = client.push_blob("a", &noise(1, 100_000));
    let path = format!("/v2/a/blobs/{digest}");
    for (value, status) in [
        (format!("\"{digest}\""), 304),
        (digest.clone(), 304),
        (format!("W/\"{digest}\""), 304),
        (format!("\"x\", \"{digest}\""), 304),
        ("*".to_owned(), 304),
        ("\"x\"".to_owned(), 200),
        (sha256(b"another"), 200),
    ] {
        for method in ["GET", "HEAD"] {
            let response = client
                .request(method, &path)
                .header("If-None-Match", &value)
                .send();
            assert_eq!(response.status, status, "{method} {value}");
            assert_eq!(response.header("etag"), Some(&*format!("\"{digest}\"")));
        }
    }
}

#[test]
fn a_refusal_has_a_body_only_if_the_method_allows_one() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("known", b"something");
    for repository in ["known", "unknown"] {
        for digest in [sha256(b"nothing"), sha512(b"nothing")] {
            let path = format!("/v2/{repository}/blobs/{digest}");
            let refusal = client.get(&path);
            refusal.refused(404, "BLOB_UNKNOWN");
            assert_eq!(refusal.json()["errors"][0]["detail"]["digest"], digest);
            let mut wire = Wire::open(&server);
            wire.send(format!(
                "HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\nGET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n"
            ));
            assert_eq!(wire.head_answer().status, 404);
            // a body after the first head would be read as the second answer
            assert_eq!(wire.answer().body, b"{}");
        }
    }
}

#[test]
fn a_blob_is_visible_only_in_its_repositories() {
    let server = Server::start();
    let mut client = server.client();
    let digest = client.push_blob("team/a", b"a secret");
    for repository in ["team/b", "team", "team/a/b"] {
        client
            .get(&format!("/v2/{repository}/blobs/{digest}"))
            .refused(404, "BLOB_UNKNOWN");
        assert_eq!(
            client
                .head(&format!("/v2/{repository}/blobs/{digest}"))
                .status,
            404
        );
    }
    assert_eq!(
        client.get(&format!("/v2/team/a/blobs/{digest}")).body,
        b"a secret"
    );
}

/// containerd does this before it reports the actual error.
#[test]
fn manifests_may_be_requested_as_blobs() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let manifest = image(b"{}", &[]);
    let digest = push(&mut client, "a", "v1", &manifest);
    let path = format!("/v2/a/blobs/{digest}");
    assert_eq!(client.get(&path).body, manifest.to_string().into_bytes());
    let head = client.head(&path);
    assert_eq!(
        (head.status, head.header("docker-content-digest")),
        (200, Some(&*digest))
    );
    assert_eq!(
        head.header("content-length"),
        Some(&*manifest.to_string().len().to_string())
    );
    client
        .get(&format!("/v2/b/blobs/{digest}"))
        .refused(404, "BLOB_UNKNOWN");
    assert!(manifest.to_string().contains(CONFIG));
}

#[test]
fn digests_may_be_percent_encoded() {
    let server = Server::start();
    let mut client = server.client();
    let digest = client.push_blob("a/b", b"content");
    for path in [
        format!("/v2/a/b/blobs/{}", digest.replace(':', "%3A")),
        format!("/v2/a%2Fb/blobs/{digest}"),
        format!("/%76%32/a/b/blobs/{digest}"),
    ] {
        assert_eq!(client.get(&path).body, b"content", "{path}");
    }
}
