//! The registry over TLS.

use std::io::{BufReader, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Secure;
use super::pki::secure;
use crate::support::client::{dial_tcp, read_response};
use crate::support::{Image, Server, noise, sha256};

#[test]
fn images_are_pushed_and_pulled() {
    let secure = Secure::start();
    let mut client = secure.client();
    let image = Image::new(
        "encrypted",
        vec![noise(1, 100), noise(2, 70_000), noise(3, (9 << 20) + 1)],
    );
    image.push(&mut client, "a/b", "v1");
    image.assert_pulls(&mut client, "a/b", "v1");
    image.assert_pulls(&mut secure.client(), "a/b", "v1");
    client
        .get("/v2/a/b/manifests/v2")
        .refused(404, "MANIFEST_UNKNOWN");
    let path = format!("/v2/a/b/blobs/{}", sha256(&image.layers[2]));
    let range = client
        .request("GET", &path)
        .header("Range", "bytes=1000000-9000000")
        .send();
    assert!(range.status == 206 && range.body == image.layers[2][1_000_000..=9_000_000]);
}

#[test]
fn plain_http_on_a_tls_port_is_explained() {
    let secure = Secure::with(&[("REGISTRY_HTTP_HEADERS", "{X-Owner: [me]}")]);
    let mut plain = secure.server.client();
    for _ in 0..2 {
        let response = plain
            .request("POST", "/v2/a/blobs/uploads/")
            .body(&noise(1, 3 << 20))
            .send();
        response.refused(400, "UNSUPPORTED");
        assert!(
            String::from_utf8_lossy(&response.body)
                .contains("Client sent an HTTP request to an HTTPS server")
        );
        assert_eq!(
            (response.header("connection"), response.header("x-owner")),
            (Some("close"), Some("me"))
        );
    }
    assert_eq!(secure.client().get("/v2/").status, 200);
}

/// hyper's own error responses become JSON here as well.
#[test]
fn invalid_requests_are_refused_in_json() {
    let server = Secure::start();
    let config = Arc::new(server.authority.client_config(None, &["http/1.1"]));
    for nonsense in ["HELLO\r\n\r\n", "GET /v2/ HTTP/1.1\r\nbad header\r\n\r\n"] {
        let mut stream = secure(server.server.address(), &config).expect("a handshake");
        stream
            .write_all(nonsense.as_bytes())
            .expect("bytes are taken");
        let response = read_response(&mut BufReader::new(&mut stream), false).expect("an answer");
        response.refused(400, "UNSUPPORTED");
        // the connection ends with a TLS close
        assert_eq!(stream.read(&mut [0; 1]).expect("an end"), 0);
    }
}

#[test]
fn an_early_refusal_reaches_a_client_that_is_still_sending() {
    let server = Secure::start();
    let config = Arc::new(server.authority.client_config(None, &["http/1.1"]));
    let mut stream = secure(server.server.address(), &config).expect("a handshake");
    let body = noise(5, 20 << 20);
    let head = format!(
        "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream
        .write_all(head.as_bytes())
        .expect("the head is taken");
    stream.write_all(&body).expect("the body is taken");
    read_response(&mut BufReader::new(stream), false)
        .expect("an answer")
        .refused(413, "MANIFEST_INVALID");
}

/// Unfinished handshakes delay no other client, and time out.
#[test]
fn slow_handshakes_block_no_others() {
    let server = Secure::with(&[("REGISTRY_HTTP_LIMITS_HANDSHAKE", "1s")]);
    let silent: Vec<_> = (0..100)
        .map(|number| {
            let mut stream = dial_tcp(server.server.address()).expect("a connection");
            // some have said that they will send a record, some nothing
            stream
                .write_all(&b"\x16\x03\x01\x02\x00\x01"[..number % 7])
                .expect("bytes are taken");
            stream
        })
        .collect();
    let start = Instant::now();
    assert_eq!(server.client().get("/v2/").status, 200);
    assert!(start.elapsed() < Duration::from_secs(10));
    for mut stream in silent {
        // at once or by a reset, long before the client's timeout
        let _ = stream.read(&mut [0; 64]);
        assert!(start.elapsed() < Duration::from_secs(30), "they may stay");
    }
}

#[test]
fn an_open_handshake_does_not_delay_a_stop() {
    let mut server = Secure::start();
    let _silent = dial_tcp(server.server.address()).expect("a connection");
    assert_eq!(server.client().get("/v2/").status, 200);
    let start = Instant::now();
    assert!(server.server.stop().success());
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
}

/// Many concurrent large blobs: only a window of each is in memory.
#[test]
fn memory_does_not_grow_with_pulled_blobs() {
    const CLIENTS: usize = 32;
    let server = Secure::start();
    let blob = noise(7, 64 << 20);
    let path = format!("/v2/a/blobs/{}", server.client().push_blob("a", &blob));
    let config = Arc::new(server.authority.client_config(None, &["http/1.1"]));
    // all clients begin to read, then stop
    let stalled: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut stream = secure(server.server.address(), &config).expect("a handshake");
            stream
                .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
                .expect("the request is taken");
            stream.read_exact(&mut [0; 100_000]).expect("bytes");
            stream
        })
        .collect();
    let memory = resident_kib(&server.server);
    assert!(memory < 160 << 10, "{memory} KiB");
    drop(stalled);
    assert!(server.client().get(&path).body == blob);
}

fn resident_kib(server: &Server) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("a status");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("a line");
    line.split_whitespace()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .expect("a number")
}
