//! Pushing, pulling and tagging manifests.

use std::cell::RefCell;

use proptest::prelude::*;
use serde_json::json;

use crate::protocol::{DOCKER_MANIFEST, check, digest_of, image, push, push_image, put, sha512};
use crate::support::{Client, Image, OCI_INDEX, OCI_MANIFEST, Response, Server, sha256};

fn assert_described(response: &Response, content: &[u8], media_type: &str, digest: &str) {
    for (name, expected) in [
        ("content-length", &*content.len().to_string()),
        ("content-type", media_type),
        ("docker-content-digest", digest),
        ("etag", &format!("\"{digest}\"")),
        ("docker-distribution-api-version", "registry/2.0"),
    ] {
        assert_eq!(response.header(name), Some(expected), "{name}");
    }
}

fn tags(client: &mut Client, repository: &str) -> Vec<String> {
    crate::protocol::texts(&client.get(&format!("/v2/{repository}/tags/list")).json()["tags"])
}

#[test]
fn a_manifest_is_found_by_tag_and_by_digest() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a/b", b"{}");
    let manifest = image(b"{}", &[]);
    let (content, digest) = (manifest.to_string().into_bytes(), digest_of(&manifest));
    let pushed = put(&mut client, "a/b", "v1", &manifest);
    assert_eq!(
        (pushed.status, pushed.header("docker-content-digest")),
        (201, Some(&*digest))
    );
    assert_eq!(
        pushed.header("location"),
        Some(&*format!("/v2/a/b/manifests/{digest}"))
    );
    assert_eq!(
        (pushed.header("oci-subject"), pushed.header("oci-tag")),
        (None, None)
    );
    // clients that use this registry as a mirror add ?ns=
    for reference in ["v1", &digest, "v1?ns=docker.io"] {
        let path = format!("/v2/a/b/manifests/{reference}");
        let (head, got) = (client.head(&path), client.get(&path));
        assert_eq!((head.status, got.status), (200, 200));
        assert!(got.body == content);
        assert_described(&head, &content, OCI_MANIFEST, &digest);
        assert_described(&got, &content, OCI_MANIFEST, &digest);
    }
    for path in [
        "/v2/a/b/manifests/v2",
        "/v2/a/manifests/v1",
        &format!("/v2/a/b/manifests/{}", sha256(b"")),
    ] {
        client.get(path).refused(404, "MANIFEST_UNKNOWN");
        assert_eq!(client.head(path).status, 404);
    }
}

#[test]
fn accept_changes_nothing() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let manifest = image(b"{}", &[]);
    push(&mut client, "a", "v1", &manifest);
    let both = format!("{OCI_INDEX}, */*;q=0.1");
    for accept in [
        &[][..],
        &["*/*"],
        &[OCI_INDEX],
        &[DOCKER_MANIFEST, OCI_INDEX],
        &["text/html"],
        &[&*both],
        &["nonsense"],
        &[""],
    ] {
        for method in ["GET", "HEAD"] {
            let mut request = client.request(method, "/v2/a/manifests/v1");
            for value in accept {
                request = request.header("Accept", value);
            }
            let response = request.send();
            assert_eq!(
                (response.status, response.header("content-type")),
                (200, Some(OCI_MANIFEST)),
                "{method} {accept:?}"
            );
        }
    }
}

#[test]
fn manifests_with_a_matching_etag_are_not_sent_again() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let digest = push(&mut client, "a", "v1", &image(b"{}", &[]));
    for (value, status) in [
        (format!("\"{digest}\""), 304),
        (digest.clone(), 304),
        (format!("\"x\",\"{digest}\""), 304),
        ("*".into(), 304),
        (sha256(b"x"), 200),
    ] {
        for method in ["GET", "HEAD"] {
            for reference in ["v1", &digest] {
                let path = format!("/v2/a/manifests/{reference}");
                let response = client
                    .request(method, &path)
                    .header("If-None-Match", &value)
                    .send();
                assert_eq!(response.status, status, "{method} {value}");
                assert_eq!(response.header("docker-content-digest"), Some(&*digest));
            }
        }
    }
    let missing = client
        .request("GET", "/v2/a/manifests/v2")
        .header("If-None-Match", "*")
        .send();
    missing.refused(404, "MANIFEST_UNKNOWN");
}

#[test]
fn every_byte_of_a_manifest_is_kept() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let client = RefCell::new(client);
    let space = "[ \t\r\n]{0,5}";
    let any = (
        space,
        space,
        "[a-zA-Z]{3,9}",
        "\\PC{0,40}",
        "application/vnd\\.[a-z]{1,9}(\\.[a-z0-9]{1,5})?\\+json",
        any::<bool>(),
    );
    check(
        60,
        &any,
        |(before, inside, key, value, media_type, by_digest)| {
            let body = image(b"{}", &[])
                .to_string()
                .replace(OCI_MANIFEST, &media_type);
            let extra = format!(
                "{{{inside}\"x-{key}\":{inside}{},",
                json!({ "deep": [value, null, 1e300] })
            );
            let content = format!("{before}{}{before}", body.replacen('{', &extra, 1)).into_bytes();
            let (digest, mut client) = (sha256(&content), client.borrow_mut());
            let reference = if by_digest { &digest } else { "tag" };
            let response = client.put_manifest("a", reference, &media_type, &content);
            assert_eq!(
                response.status,
                201,
                "{}",
                String::from_utf8_lossy(&response.body)
            );
            let got = client.get(&format!("/v2/a/manifests/{reference}"));
            assert!(got.body == content);
            assert_described(&got, &content, &media_type, &digest);
        },
    );
}

#[test]
fn a_push_by_digest_may_set_tags() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let manifest = image(b"{}", &[]);
    let digest = digest_of(&manifest);
    let names: Vec<_> = (0..12).map(|number| format!("t{number:02}")).collect();
    let query = names
        .iter()
        .map(|tag| format!("tag={tag}"))
        .collect::<Vec<_>>()
        .join("&");
    let response = put(&mut client, "a", &format!("{digest}?{query}"), &manifest);
    assert_eq!(
        (response.status, response.header("docker-content-digest")),
        (201, Some(&*digest))
    );
    let confirmed: Vec<_> = response
        .headers
        .iter()
        .filter(|(name, _)| name == "oci-tag")
        .map(|(_, tag)| tag.clone())
        .collect();
    assert_eq!(confirmed, names);
    assert_eq!(tags(&mut client, "a"), names);

    let response = put(&mut client, "a", "main?tag=other", &manifest);
    assert_eq!(
        (response.status, response.header("oci-tag")),
        (201, Some("other"))
    );
    assert_eq!(tags(&mut client, "a").len(), 14);
    put(
        &mut client,
        "a",
        &format!("{digest}?tag=good&tag=.bad"),
        &manifest,
    )
    .refused(400, "TAG_INVALID");
    assert_eq!(
        client.head("/v2/a/manifests/good").status,
        404,
        "a refused push left a tag"
    );
}

/// The tags are returned as headers, of which proxies accept only so many: a refusal is better than
/// a success that is not reported.
#[test]
fn a_push_sets_a_limited_number_of_tags() {
    let server = Server::start();
    let mut client = server.client();
    let manifest = crate::protocol::index(&[]);
    let path = |count: usize| {
        let query: Vec<_> = (0..count).map(|number| format!("tag=t{number}")).collect();
        format!("{}?{}", digest_of(&manifest), query.join("&"))
    };
    put(&mut client, "a", &path(101), &manifest).refused(414, "TAG_INVALID");
    client.get("/v2/a/tags/list").refused(404, "NAME_UNKNOWN");
    let response = put(&mut client, "a", &path(100), &manifest);
    assert_eq!(response.status, 201);
    let count = response.headers.len();
    assert!((40..=64).contains(&count), "{count} headers");
    let lists = response
        .headers
        .iter()
        .filter(|(name, _)| name == "oci-tag");
    let named: Vec<_> = lists.flat_map(|(_, list)| list.split(", ")).collect();
    let expected: Vec<_> = (0..100).map(|number| format!("t{number}")).collect();
    assert_eq!(named, expected);
    assert_eq!(tags(&mut client, "a").len(), 100);
}

#[test]
fn a_push_by_a_wrong_digest_leaves_nothing() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let manifest = image(b"{}", &[]);
    for digest in [sha256(b"other"), sha512(b"other")] {
        put(&mut client, "a", &format!("{digest}?tag=v1"), &manifest)
            .refused(400, "DIGEST_INVALID");
        assert_eq!(client.get(&format!("/v2/a/manifests/{digest}")).status, 404);
    }
    assert_eq!(
        client
            .get(&format!("/v2/a/manifests/{}", digest_of(&manifest)))
            .status,
        404
    );
    client.get("/v2/a/tags/list").refused(404, "NAME_UNKNOWN");
}

#[test]
fn manifests_may_have_sha512_digests() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let manifest = image(b"{}", &[]);
    let content = manifest.to_string().into_bytes();
    let digest = sha512(&content);
    let response = put(&mut client, "a", &format!("{digest}?tag=v1"), &manifest);
    assert_eq!(
        (response.status, response.header("docker-content-digest")),
        (201, Some(&*digest))
    );
    for reference in ["v1", &digest] {
        assert_described(
            &client.head(&format!("/v2/a/manifests/{reference}")),
            &content,
            OCI_MANIFEST,
            &digest,
        );
    }
}

/// A tag may move between images, indexes and formats; nothing of its past remains visible.
#[test]
fn a_tag_points_at_the_last_push() {
    let server = Server::start();
    let mut client = server.client();
    let first = push_image(&mut client, "a", "v1", "first");
    let mut docker = image(b"{\"seed\":\"first\"}", &[b"layer first"]);
    docker["mediaType"] = DOCKER_MANIFEST.into();
    let index = crate::protocol::index(&[crate::protocol::pointer(&first)]);
    for manifest in [&docker, &index, &first, &docker] {
        let digest = push(&mut client, "a", "v1", manifest);
        let got = client.get("/v2/a/manifests/v1");
        assert_described(
            &got,
            manifest.to_string().as_bytes(),
            crate::protocol::media_type(manifest),
            &digest,
        );
        assert_eq!(got.body, manifest.to_string().into_bytes());
    }
    for manifest in [&first, &docker, &index] {
        assert_eq!(
            client
                .head(&format!("/v2/a/manifests/{}", digest_of(manifest)))
                .status,
            200
        );
    }
}

#[test]
fn the_media_type_comes_from_the_header_or_the_body() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let typed = image(b"{}", &[]);
    let mut untyped = typed.clone();
    untyped.as_object_mut().unwrap().remove("mediaType");
    let untyped_index = json!({ "schemaVersion": 2, "manifests": [] });
    for (content_type, manifest, stored) in [
        (
            Some(format!("{OCI_MANIFEST}; charset=utf-8")),
            &typed,
            OCI_MANIFEST,
        ),
        (None, &typed, OCI_MANIFEST),
        (None, &untyped, OCI_MANIFEST),
        (Some(OCI_INDEX.to_owned()), &untyped_index, OCI_INDEX),
    ] {
        let mut request = client
            .request("PUT", "/v2/a/manifests/v1")
            .body(manifest.to_string().as_bytes());
        if let Some(content_type) = &content_type {
            request = request.header("Content-Type", content_type);
        }
        let response = request.send();
        assert_eq!(
            response.status,
            201,
            "{content_type:?}: {}",
            String::from_utf8_lossy(&response.body)
        );
        assert_eq!(
            client.head("/v2/a/manifests/v1").header("content-type"),
            Some(stored),
            "{content_type:?}"
        );
    }
}

/// A 304 has no body and no length (RFC 9110, section 8.6).
#[test]
fn a_not_modified_response_has_no_length() {
    let server = Server::start();
    let mut client = server.client();
    Image::small(1).push(&mut client, "a", "v1");
    let path = "/v2/a/manifests/v1";
    let tag = client.get(path).header("etag").expect("an etag").to_owned();
    for method in ["GET", "HEAD"] {
        let response = client
            .request(method, path)
            .header("If-None-Match", &tag)
            .send();
        assert_eq!(
            (response.status, response.header("content-length")),
            (304, None),
            "{method}"
        );
    }
}

/// Bytes without a `mediaType` have the type that a push names: the right one counts, whichever came first.
#[test]
fn a_push_under_the_right_type_mends_one_under_another() {
    let server = Server::start();
    let mut client = server.client();
    let mut manifest = image(b"{}", &[]);
    manifest.as_object_mut().unwrap().remove("mediaType");
    let (body, digest) = (manifest.to_string().into_bytes(), digest_of(&manifest));
    let served = |client: &mut Client, repository: &str| {
        ["v1", &digest].map(|reference| {
            let path = format!("/v2/{repository}/manifests/{reference}");
            let types = [client.get(&path), client.head(&path)]
                .map(|answer| answer.header("content-type").unwrap_or("").to_owned());
            assert_eq!(types[0], types[1]);
            types[0].clone()
        })
    };
    for repository in ["a", "b"] {
        client.push_blob(repository, b"{}");
        let answer = client.put_manifest(repository, "v1", "application/json", &body);
        assert_eq!(answer.status, 201);
        assert_eq!(served(&mut client, repository), ["application/json"; 2]);
    }
    for (media_type, expected) in [
        (
            "application/vnd.example+json",
            "application/vnd.example+json",
        ),
        ("application/json", "application/vnd.example+json"),
        (OCI_MANIFEST, OCI_MANIFEST),
        (DOCKER_MANIFEST, OCI_MANIFEST),
        ("application/vnd.example+json", OCI_MANIFEST),
        ("application/json", OCI_MANIFEST),
    ] {
        let answer = client.put_manifest("a", "v1", media_type, &body);
        assert_eq!(answer.status, 201);
        assert_eq!(served(&mut client, "a"), [expected; 2], "{media_type}");
        // a repository has the type that was pushed to it
        assert_eq!(served(&mut client, "b"), ["application/json"; 2]);
    }
    client
        .put_manifest("b", "v1", OCI_INDEX, &body)
        .refused(400, "MANIFEST_INVALID");
}
