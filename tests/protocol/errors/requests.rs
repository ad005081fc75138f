//! Refusals: the right status and code for every invalid request, always as OCI JSON.

use std::cell::RefCell;

use proptest::prelude::*;

use crate::protocol::{check, index, push};
use crate::support::{Response, Server, sha256, upload_id};

const CODES: [&str; 18] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "TAG_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "RANGE_INVALID",
    "PAGINATION_NUMBER_INVALID",
    "UNAVAILABLE",
    "TOOMANYREQUESTS",
];

/// Asserts that a refusal under `/v2/` is OCI JSON.
pub(super) fn assert_oci(response: &Response) {
    assert!((400..500).contains(&response.status), "{response:?}");
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(
        response.header("docker-distribution-api-version"),
        Some("registry/2.0")
    );
    let body = response.json();
    let errors = body["errors"].as_array().expect("errors");
    assert!(!errors.is_empty());
    for error in errors {
        assert!(
            CODES.contains(&error["code"].as_str().expect("a code")),
            "{error}"
        );
        assert!(!error["message"].as_str().expect("a message").is_empty());
    }
}

#[test]
fn a_wrong_method_lists_the_allowed_ones() {
    let server = Server::start();
    let mut client = server.client();
    let (blob, id) = (sha256(b""), "0b5b9a1a-9f6c-4c36-8c34-9f1a3f0ea001");
    for (path, allowed) in [
        ("/v2/".to_owned(), "GET, HEAD"),
        ("/v2/_catalog".to_owned(), "GET, HEAD"),
        ("/v2/a/tags/list".to_owned(), "GET, HEAD"),
        (format!("/v2/a/referrers/{blob}"), "GET, HEAD"),
        ("/v2/a/manifests/v1".to_owned(), "DELETE, GET, HEAD, PUT"),
        (format!("/v2/a/blobs/{blob}"), "DELETE, GET, HEAD"),
        ("/v2/a/blobs/uploads/".to_owned(), "POST"),
        (
            format!("/v2/a/blobs/uploads/{id}"),
            "DELETE, GET, HEAD, PATCH, PUT",
        ),
    ] {
        let allowed_set: Vec<_> = allowed.split(", ").collect();
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get",
        ] {
            if allowed_set.contains(&method) {
                continue;
            }
            let response = client.request(method, &path).send();
            assert_eq!(
                (response.status, response.header("allow")),
                (405, Some(allowed)),
                "{method} {path}"
            );
            if method != "HEAD" {
                assert_oci(&response);
                response.refused(405, "UNSUPPORTED");
            }
        }
        let told = client.request("OPTIONS", &path).send();
        assert_eq!(
            (told.status, told.header("allow"), &*told.body),
            (200, Some(allowed), &b""[..]),
            "{path}"
        );
    }
}

#[test]
fn invalid_names() {
    let server = Server::start();
    let mut client = server.client();
    let digest = sha256(b"");
    let long = |length: usize| "a".repeat(length);
    for name in [
        "UPPER",
        "a//b",
        "-a",
        "a-",
        "a..b",
        "%20",
        "%00",
        "..%2f..",
        "a%2F",
        "%c3%a4",
        "a:5000/b",
        &long(256),
        &format!("b/{}", long(254)),
    ] {
        for (method, rest) in [
            ("GET", "manifests/v1".to_owned()),
            ("PUT", "manifests/v1".to_owned()),
            ("DELETE", "manifests/v1".to_owned()),
            ("GET", format!("blobs/{digest}")),
            ("DELETE", format!("blobs/{digest}")),
            ("POST", "blobs/uploads/".to_owned()),
            ("GET", "tags/list".to_owned()),
            ("GET", format!("referrers/{digest}")),
        ] {
            let response = client.request(method, &format!("/v2/{name}/{rest}")).send();
            // programs that join a base and a path produce surplus slashes; readers are redirected
            if method == "GET" && name.split('/').any(str::is_empty) {
                assert_eq!(response.status, 301, "{name}");
                continue;
            }
            assert_oci(&response);
            response.refused(400, "NAME_INVALID");
        }
    }
}

#[test]
fn the_longest_names_and_invalid_tags() {
    let server = Server::start();
    let mut client = server.client();
    let longest = format!("{}/{}", "a".repeat(100), "a".repeat(154));
    push(&mut client, &longest, &"t".repeat(128), &index(&[]));
    assert_eq!(
        client.get(&format!("/v2/{longest}/tags/list")).json()["name"],
        longest
    );
    for tag in [
        &*"t".repeat(129),
        ".a",
        "-a",
        "a%2Bb",
        "%20",
        "%c3%a4",
        "a%00",
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let response = client
                .request(method, &format!("/v2/a/manifests/{tag}"))
                .send();
            assert_oci(&response);
            response.refused(400, "TAG_INVALID");
        }
    }
}

#[test]
fn invalid_digests() {
    let server = Server::start();
    let mut client = server.client();
    let digest = sha256(b"");
    let hex = &digest[7..];
    for wrong in [
        &*format!("sha256:{}", hex.to_uppercase()),
        &format!("sha256:{hex}0"),
        &format!("md5:{hex}"),
        ":",
        "sha256:",
        &format!("sha512:{hex}"),
        "sha256:..",
    ] {
        client
            .get(&format!("/v2/a/manifests/{wrong}"))
            .refused(400, "DIGEST_INVALID");
        client
            .get(&format!("/v2/a/referrers/{wrong}"))
            .refused(400, "DIGEST_INVALID");
        client
            .get(&format!("/v2/a/blobs/{wrong}"))
            .refused(400, "DIGEST_INVALID");
        client
            .delete(&format!("/v2/a/blobs/{wrong}"))
            .refused(400, "DIGEST_INVALID");
        // a failed mount becomes an upload
        assert_eq!(
            client
                .request("POST", &format!("/v2/a/blobs/uploads/?mount={wrong}"))
                .send()
                .status,
            202
        );
        client
            .request("POST", &format!("/v2/a/blobs/uploads/?digest={wrong}"))
            .send()
            .refused(400, "DIGEST_INVALID");
    }
}

#[test]
fn unknown_paths() {
    let server = Server::start();
    let mut client = server.client();
    for path in [
        "/v2/a",
        "/v2/a/b/c",
        "/v2/a/manifests",
        "/v2/a/manifests/",
        "/v2/manifests/v1",
        "/v2/a/tags",
        "/v2/a/blobs/",
        "/v2/%",
        "/v2/%zz",
        "/v2/%ff/tags/list",
        "/v2/a/unknown/thing",
        "/v2/../v2/x",
        "/v2/token",
    ] {
        for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
            let response = client.request(method, path).send();
            assert_oci(&response);
            assert!(
                matches!(response.status, 400 | 404),
                "{method} {path}: {}",
                response.status
            );
        }
    }
}

/// Clients print them on terminals.
#[test]
fn errors_quote_nothing_raw_that_controls_a_terminal() {
    let server = Server::start();
    let path = "/v2/app/manifests/%1b%e2%80%ae%c2%9b%7f%e2%80%a8";
    let answer = server.client().get(path);
    let text = String::from_utf8(answer.body.clone()).expect("text");
    assert!(text.chars().all(|c| matches!(c, ' '..='~')), "{text:?}");
    let message = answer.json()["errors"][0]["message"].clone();
    let message = message.as_str().expect("a message");
    assert!(message.contains("\u{1b}\u{202e}"), "{message:?}");
}

#[test]
fn surplus_slashes_are_redirected() {
    let server = Server::start();
    let mut client = server.client();
    for (path, right) in [
        ("/v2//", "/v2/"),
        ("//v2/_catalog?n=1", "/v2/_catalog?n=1"),
        ("/v2/a/tags/list/", "/v2/a/tags/list"),
    ] {
        for method in ["GET", "HEAD"] {
            let response = client.request(method, path).send();
            assert_eq!(
                (response.status, response.header("location")),
                (301, Some(right)),
                "{method} {path}"
            );
        }
        assert!(matches!(client.delete(path).status, 400 | 404), "{path}");
    }
}

/// An arbitrary request: method, path segments, query parameters (a key, a value, and if the known
/// digest replaces it), headers, and body.
type Arbitrary = (
    &'static str,
    Vec<String>,
    Vec<(&'static str, String, bool)>,
    Vec<(&'static str, String)>,
    Vec<u8>,
);

/// Arbitrary requests with path segments from `known` and others.
fn arbitrary_requests(known: Vec<String>) -> impl Strategy<Value = Arbitrary> {
    let segment =
        prop_oneof![6 => prop::sample::select(known), 1 => "[!-~&&[^#?/ \\\\<>^`{|}\"]]{0,12}"];
    let keys = [
        "digest",
        "mount",
        "from",
        "n",
        "last",
        "tag",
        "artifactType",
        "digest-algorithm",
        "ns",
    ];
    let pair = (
        prop::sample::select(keys.to_vec()),
        "[a-z0-9:%+./-]{0,20}",
        any::<bool>(),
    );
    let method = prop::sample::select(vec![
        "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW",
    ]);
    let names = [
        "Range",
        "Content-Range",
        "If-None-Match",
        "If-Range",
        "Content-Type",
        "Accept",
        "Expect",
        "Upgrade",
    ];
    let header = (
        prop::sample::select(names.to_vec()),
        "(bytes[= ])?[ -~]{0,30}",
    );
    (
        method,
        prop::collection::vec(segment, 0..7),
        prop::collection::vec(pair, 0..4),
        prop::collection::vec(header, 0..4),
        prop::collection::vec(any::<u8>(), 0..50),
    )
}

/// Arbitrary requests: never a server error, always a readable answer, and the server keeps
/// running.
#[test]
fn no_request_causes_a_server_error() {
    let server = Server::start();
    let mut client = server.client();
    let digest = client.push_blob("a", b"content");
    push(&mut client, "a", "v1", &index(&[]));
    let location = client.begin_upload("a");
    // one connection as long as the server keeps it open
    let (client, id) = (RefCell::new(client), upload_id(&location).to_owned());
    let known = vec![
        "a".into(),
        "v1".into(),
        "manifests".into(),
        "blobs".into(),
        "uploads".into(),
        "tags".into(),
        "list".into(),
        "referrers".into(),
        digest.clone(),
        digest.replace(':', "%3a"),
        id,
        "_catalog".into(),
        String::new(),
        "..".into(),
        "%2f".into(),
        "%00".into(),
        "%".into(),
        "v2".into(),
        sha256(b"x"),
    ];
    let any = arbitrary_requests(known);
    check(500, &any, |(method, segments, pairs, headers, body)| {
        let query: Vec<_> = pairs
            .iter()
            .map(|(key, value, real)| format!("{key}={}", if *real { &digest } else { value }))
            .collect();
        let path = format!("/v2/{}?{}", segments.join("/"), query.join("&"));
        let mut client = client.borrow_mut();
        let mut request = client.request(method, &path).body(&body);
        for (name, value) in &headers {
            // this client does not wait for 100 Continue
            request = request.header(name, value.trim().trim_start_matches("100-continue"));
        }
        let response = request.send();
        if response.status >= 400 && method != "HEAD" {
            assert_oci(&response);
        }
        assert!(response.status < 500, "{method} {path}: {response:?}");
    });
    assert_eq!(server.client().get("/v2/").status, 200);
}
