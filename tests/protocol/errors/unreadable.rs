//! Requests whose heads hyper cannot read, so that no handler sees them: refused as all others are.

use std::io::Read;
use std::net::Shutdown;

use super::requests::assert_oci;
use crate::protocol::header_names::canonical;
use crate::protocol::{Wire, chunked, image, push};
use crate::support::{Client, Response, Server, noise, sha256};

/// A request with these lines after its first one.
fn with(lines: impl AsRef<[u8]>) -> Vec<u8> {
    [
        b"PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\n",
        lines.as_ref(),
        b"\r\n\r\n",
    ]
    .concat()
}

fn headers(count: usize) -> String {
    (2..=count)
        .map(|number| format!("X-{number}: x"))
        .collect::<Vec<_>>()
        .join("\r\n")
}

fn path(length: usize) -> Vec<u8> {
    format!(
        "GET /v2/{} HTTP/1.1\r\nHost: x\r\n\r\n",
        "a".repeat(length - 4)
    )
    .into_bytes()
}

/// A request with its description and the status of its answer.
type Case = (&'static str, Vec<u8>, u16);

/// One request of each kind that hyper answers by itself.
fn unreadable() -> Vec<Case> {
    [oversized(), malformed(), badly_framed()].concat()
}

/// Requests with too long a path or head, or too large a body. What exceeds a head exceeds it twice: a whole head of up to
/// twice the limit can arrive in one read.
fn oversized() -> Vec<Case> {
    vec![
        ("a path that is too long", path(65_535), 414),
        (
            "a path that is too long, of a HEAD",
            [b"HEAD", &path(65_535)[3..]].concat(),
            414,
        ),
        ("too many headers", with(headers(101)), 431),
        (
            "one header that is too large",
            with(format!("X: {}", "a".repeat(400_000))),
            431,
        ),
        (
            "many headers that are too large",
            with(headers(90).replace(": x", &format!(": {}", "a".repeat(5000)))),
            431,
        ),
        ("a path that is larger than a head", path(400_000), 431),
        (
            "a header's name that is too long",
            with(format!("{}: x", "a".repeat(65_536))),
            431,
        ),
        (
            "a body that cannot be counted",
            with("Content-Length: 18446744073709551615"),
            431,
        ),
    ]
}

fn raw(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// Requests that are no HTTP, or that have a malformed line in their heads.
fn malformed() -> Vec<Case> {
    vec![
        (
            "TLS",
            raw("\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03"),
            400,
        ),
        ("no method", raw(" /v2/ HTTP/1.1\r\n\r\n"), 400),
        (
            "a method that is none",
            raw("G(T /v2/ HTTP/1.1\r\n\r\n"),
            400,
        ),
        ("no path", raw("GET  HTTP/1.1\r\n\r\n"), 400),
        (
            "a path with a space",
            raw("GET /v2/a b HTTP/1.1\r\n\r\n"),
            400,
        ),
        (
            "a URI without a host",
            raw("GET http:// HTTP/1.1\r\n\r\n"),
            400,
        ),
        ("HTTP/0.9", raw("GET /v2/\r\n\r\n"), 400),
        (
            "HTTP/2 without its preface",
            raw("GET /v2/ HTTP/2.0\r\nHost: x\r\n\r\n"),
            400,
        ),
        ("HTTP/9.9", raw("GET /v2/ HTTP/9.9\r\n\r\n"), 400),
        (
            "a HEAD that is malformed",
            raw("HEAD /v2/ HTTP/1.1\r\nHost: \0\r\n\r\n"),
            400,
        ),
        ("a header without a colon", with("Host"), 400),
        ("a header without a name", with(": x"), 400),
        ("a space in a header's name", with("X : x"), 400),
        ("a NUL in a header", with("X: \0"), 400),
        ("a header that goes on", with("X: x\r\n x"), 400),
    ]
}

/// Requests whose bodies have an ambiguous or invalid length.
fn badly_framed() -> Vec<Case> {
    vec![
        (
            "two lengths",
            with("Content-Length: 1\r\nContent-Length: 2"),
            400,
        ),
        ("lengths in a list", with("Content-Length: 1, 1"), 400),
        ("a negative length", with("Content-Length: -1"), 400),
        ("a length with a sign", with("Content-Length: +1"), 400),
        (
            "a length beyond 64 bits",
            with("Content-Length: 18446744073709551616"),
            400,
        ),
        ("no length", with("Content-Length:"), 400),
        ("an unknown coding", with("Transfer-Encoding: gzip"), 400),
        (
            "a coding after chunked",
            with("Transfer-Encoding: chunked, gzip"),
            400,
        ),
        (
            "a coding in HTTP/1.0",
            raw("PUT /v2/a/manifests/v1 HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
            400,
        ),
    ]
}

impl Wire {
    /// Reads to the end of the connection, which must not be a reset.
    fn rest(&mut self, what: &str) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0
            .read_to_end(&mut rest)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        rest
    }

    /// Asserts that the rest of the connection is exactly this refusal.
    fn assert_refused(&mut self, status: u16, what: &str) {
        let rest = self.rest(what);
        let response = crate::support::client::read_response(&mut &*rest, false)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(response.status, status, "{what}");
        assert_oci(&response);
        response.refused(status, "UNSUPPORTED");
        let reason = match status {
            400 => "Bad Request",
            414 => "URI Too Long",
            _ => "Request Header Fields Too Large",
        };
        let mut whole = format!("HTTP/1.1 {status} {reason}\r\n");
        assert!(
            response.header("date").is_some() && response.header("connection") == Some("close"),
            "{what}: {response:?}"
        );
        assert_eq!(
            response.header("content-length"),
            Some(&*response.body.len().to_string()),
            "{what}"
        );
        assert_eq!(response.headers.len(), 7, "{what}: {response:?}");
        response
            .headers
            .iter()
            .for_each(|(name, value)| whole += &format!("{}: {value}\r\n", canonical(name)));
        whole += &format!("\r\n{}", String::from_utf8_lossy(&response.body));
        assert!(
            rest == whole.as_bytes(),
            "{what}: {}",
            String::from_utf8_lossy(&rest)
        );
    }
}

#[test]
fn an_unreadable_request_is_refused_with_a_reason() {
    let server = Server::start();
    for (what, bytes, status) in unreadable() {
        let mut wire = Wire::open(&server);
        wire.send(bytes);
        wire.assert_refused(status, what);
    }
    assert_eq!(server.client().get("/v2/").status, 200);
}

#[test]
fn requests_at_the_limits_are_accepted() {
    let server = Server::start();
    let get =
        |lines: String| format!("GET /v2/ HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n").into_bytes();
    let full = get(format!(
        "X: {}",
        "a".repeat((128 << 10) - get("X: ".to_owned()).len())
    ));
    assert_eq!(full.len(), 128 << 10);
    for (what, bytes, status) in [
        ("a path", path(65_534), 404),
        ("headers", get(headers(100)), 200),
        ("a head", full, 200),
    ] {
        let mut wire = Wire::open(&server);
        wire.send(bytes);
        assert_eq!(wire.answer().status, status, "{what}");
        wire.send(" \r\n\r\n");
        wire.assert_refused(400, what);
    }
}

/// A client that keeps sending must not lose the answer to a reset.
#[test]
fn a_refusal_reaches_a_client_that_is_still_sending() {
    let server = Server::start();
    let more = noise(1, 4 << 20);
    for (what, bytes, status) in unreadable() {
        let mut wire = Wire::open(&server);
        let whole = [bytes, more.clone()].concat();
        wire.write(&whole)
            .unwrap_or_else(|error| panic!("{what}: reset while sending: {error}"));
        wire.assert_refused(status, what);
    }
    let mut wire = Wire::open(&server);
    wire.send(format!("GET /v2/ HTTP/1.1\r\nX: {}", "a".repeat(1 << 20)));
    wire.assert_refused(431, "a head of 1 MiB that does not end");
}

/// Pushes blobs, and returns readable requests for them.
fn blob_requests(client: &mut Client) -> Vec<Case> {
    let (small, large) = (noise(2, 500), noise(3, (6 << 20) + 7));
    // content that looks like hyper's own refusal
    let imitation = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        .repeat(20_000);
    let blob = |method: &str, content: &[u8], extra: &str| {
        format!(
            "{method} /v2/a/blobs/{} HTTP/1.1\r\nHost: x\r\n{extra}\r\n",
            sha256(content)
        )
        .into_bytes()
    };
    for content in [&*small, &large, &imitation, &imitation[..7000]] {
        client.push_blob("a", content);
    }
    let held = format!("If-None-Match: \"{}\"\r\n", sha256(&large));
    vec![
        ("a small blob", blob("GET", &small, ""), 200),
        ("a large blob", blob("GET", &large, ""), 200),
        (
            "a refusal as a large blob",
            blob("GET", &imitation, ""),
            200,
        ),
        (
            "a refusal as a small blob",
            blob("GET", &imitation[..7000], ""),
            200,
        ),
        ("a blob's head", blob("HEAD", &large, ""), 200),
        (
            "a range",
            blob("GET", &large, "Range: bytes=1000-2000000\r\n"),
            206,
        ),
        (
            "ranges",
            blob("GET", &large, "Range: bytes=0-9,-1000000\r\n"),
            206,
        ),
        ("a blob that is held", blob("GET", &large, &held), 304),
        ("no blob", blob("GET", b"nothing", ""), 404),
        ("no blob's head", blob("HEAD", b"nothing", ""), 404),
    ]
}

/// Pushes a manifest, and returns other readable requests.
fn other_requests(client: &mut Client) -> Vec<Case> {
    client.push_blob("a", b"{}");
    let manifest = image(b"{}", &[]).to_string().into_bytes();
    push(client, "a", "v1", &image(b"{}", &[]));
    let put = format!(
        "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        manifest.len()
    );
    let put_chunked =
        b"PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    vec![
        (
            "a manifest",
            b"GET /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            200,
        ),
        (
            "an upload",
            b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            202,
        ),
        ("a push", [put.as_bytes(), &manifest].concat(), 201),
        (
            "a push in chunks",
            [
                &put_chunked[..],
                &chunked(&[&manifest[..9], &manifest[9..]]),
            ]
            .concat(),
            201,
        ),
        (
            "a wrong method",
            b"PATCH /v2/ HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            405,
        ),
    ]
}

/// All earlier answers, however they were sent, are complete, and the following unreadable request
/// is refused.
#[test]
fn earlier_answers_are_complete_and_unchanged() {
    let server = Server::start();
    let mut client = server.client();
    let requests = [blob_requests(&mut client), other_requests(&mut client)].concat();
    for (what, request, status) in requests {
        let is_head = request.starts_with(b"HEAD");
        let read = |wire: &mut Wire| {
            if is_head {
                wire.head_answer()
            } else {
                wire.answer()
            }
        };
        let mut alone = Wire::open(&server);
        alone.send(&request);
        let expected = read(&mut alone);
        assert_eq!(expected.status, status, "{what}");
        for (malformed, refusal) in [
            ("?\r\n\r\n".to_owned(), 400),
            (
                format!("GET /v2/{} HTTP/1.1\r\n\r\n", "a".repeat(70_000)),
                414,
            ),
        ] {
            let mut wire = Wire::open(&server);
            wire.send([&*request, &request, malformed.as_bytes()].concat());
            for _ in 0..2 {
                assert_same(&read(&mut wire), &expected, what);
            }
            wire.assert_refused(refusal, what);
        }
    }
}

/// Asserts that two answers are equal except for dates and upload ids.
fn assert_same(one: &Response, other: &Response, what: &str) {
    assert_eq!(one.status, other.status, "{what}");
    assert!(
        one.body == other.body || one.status == 206,
        "{what}: other bytes"
    );
    assert_eq!(one.body.len(), other.body.len(), "{what}");
    for ((name, value), (other_name, other_value)) in one.headers.iter().zip(&other.headers) {
        let is_new = matches!(
            &**name,
            "date" | "location" | "docker-upload-uuid" | "content-type"
        );
        assert!(
            name == other_name && (is_new || value == other_value),
            "{what}: {one:?} is not {other:?}"
        );
    }
    assert_eq!(one.headers.len(), other.headers.len(), "{what}");
}

/// Invalid chunks are detected while the body is read, hence by a handler.
#[test]
fn an_unreadable_body_is_refused_by_its_handler() {
    let server = Server::start();
    for body in ["FFFFFFFFFFFFFFFFF\r\n", "zz\r\n", "1\r\n{}\r\n"] {
        let mut wire = Wire::open(&server);
        wire.send([with("Transfer-Encoding: chunked"), body.as_bytes().to_vec()].concat());
        let response = wire.answer();
        assert_oci(&response);
        assert_eq!(response.status, 400, "{body:?}");
    }
}

/// Clients without an answer: one that speaks HTTP/2 only, and ones that close in the middle of a
/// head.
#[test]
fn a_client_that_cannot_read_gets_no_answer() {
    let server = Server::start();
    for bytes in [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\n",
        b"GET",
        b"\r\n",
        b"",
    ] {
        let mut wire = Wire::open(&server);
        wire.send(bytes);
        wire.0.get_ref().shutdown(Shutdown::Write).unwrap();
        assert!(
            wire.rest("no answer").is_empty(),
            "{}",
            String::from_utf8_lossy(bytes)
        );
    }
    assert_eq!(server.client().get("/v2/").status, 200);
}
