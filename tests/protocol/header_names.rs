//! Names of headers over HTTP/1.1, as Go's servers write them: people's scripts search for them with `grep`.

use std::collections::BTreeSet;
use std::io::{BufRead, Read};

use super::{Wire, artifact, digest_of, media_type, push_image};
use crate::support::{Server, descriptor, noise};

/// Reads the head of an answer and skips its body; returns the names of its headers.
fn names(wire: &mut Wire, is_head: bool) -> Vec<String> {
    let (mut names, mut length) = (Vec::new(), 0);
    let lines = wire.0.by_ref().lines().skip(1);
    let lines = lines.map(|line| line.expect("a line"));
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").expect("a header");
        if name.eq_ignore_ascii_case("content-length") && !is_head {
            length = value.parse().expect("a length");
        }
        names.push(name.to_owned());
    }
    let mut body = wire.0.by_ref().take(length);
    std::io::copy(&mut body, &mut std::io::sink()).expect("a body");
    names
}

/// Name as Go's `http.CanonicalHeaderKey` returns it.
pub(super) fn canonical(name: &str) -> String {
    let part = |part: &str| part[..1].to_uppercase() + &part[1..].to_lowercase();
    name.split('-').map(part).collect::<Vec<_>>().join("-")
}

/// Sends the requests, each with its body, and returns all names of the headers of their answers.
fn all_names(server: &Server, requests: &[(String, Vec<u8>)]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (head, body) in requests {
        let mut wire = Wire::open(server);
        let length = body.len();
        wire.send(format!(
            "{head}\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
        ));
        wire.send(body);
        let found = names(&mut wire, head.starts_with("HEAD"));
        for name in &found {
            assert_eq!(*name, canonical(name), "{head}");
        }
        all.extend(found);
    }
    all
}

#[test]
fn headers_are_named_as_go_names_them() {
    let server = Server::with(&[(
        "REGISTRY_HTTP_HEADERS",
        "{x-content-type-options: [nosniff]}",
    )]);
    let mut client = server.client();
    let subject = push_image(&mut client, "a", "v1", "seed");
    push_image(&mut client, "a", "v2", "seed");
    client.push_blob("a", b"{}");
    let signature = artifact(
        "application/x",
        descriptor(media_type(&subject), subject.to_string().as_bytes()),
    );
    let large = noise(1, 200_000);
    let (blob, manifest) = (client.push_blob("a", &large), digest_of(&subject));
    let get = |path: &str, header: &str| (format!("GET {path} HTTP/1.1{header}"), Vec::new());
    let put = |query: &str| {
        let head = format!("PUT /v2/a/manifests/{query} HTTP/1.1\r\nContent-Type: ");
        head + media_type(&signature)
    };
    let found = all_names(
        &server,
        &[
            get("/v2/", ""),
            get("/v2/a/manifests/v1", ""),
            (
                format!("HEAD /v2/a/manifests/{manifest} HTTP/1.1"),
                Vec::new(),
            ),
            get(&format!("/v2/a/blobs/{blob}"), ""),
            get(&format!("/v2/a/blobs/{blob}"), "\r\nRange: bytes=5-9"),
            get("/v2/a/tags/list?n=1", ""),
            get("/v2/a/manifests/none", ""),
            (put("signed?tag=also"), signature.to_string().into_bytes()),
            get(&format!("/v2/a/referrers/{manifest}?artifactType=a/b"), ""),
            ("POST /v2/a/blobs/uploads/ HTTP/1.1".to_owned(), Vec::new()),
            ("BREW /v2/ HTTP/1.1".to_owned(), Vec::new()),
            // refused before any handler sees it
            get("/v2/", "\r\nnot a header"),
        ],
    );
    for name in [
        "Accept-Ranges",
        "Allow",
        "Cache-Control",
        "Connection",
        "Content-Length",
        "Content-Range",
        "Content-Type",
        "Date",
        "Docker-Content-Digest",
        "Docker-Distribution-Api-Version",
        "Docker-Upload-Uuid",
        "Etag",
        "Link",
        "Location",
        "Oci-Filters-Applied",
        "Oci-Subject",
        "Oci-Tag",
        "Range",
        "X-Content-Type-Options",
    ] {
        assert!(found.contains(name), "{name} is missing in {found:?}");
    }
}

#[test]
fn a_challenge_is_named_as_go_names_it() {
    let realm = r#"{silly: {realm: "a", service: "b"}}"#;
    let server = Server::with(&[("REGISTRY_AUTH", realm)]);
    let asked = [("GET /v2/ HTTP/1.1".to_owned(), Vec::new())];
    assert!(all_names(&server, &asked).contains("Www-Authenticate"));
}
