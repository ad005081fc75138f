//! Clients that end their side of the connection after the request, as some proxies and scripts do.

use std::io::BufRead;
use std::net::Shutdown;

use super::{Wire, push_image};
use crate::support::{Server, eventually, noise, sha256};

/// Sends the bytes and ends this side of the connection.
fn send_last(server: &Server, parts: &[&[u8]]) -> Wire {
    let mut wire = Wire::open(server);
    parts.iter().for_each(|part| wire.send(part));
    let end = wire.0.get_ref().shutdown(Shutdown::Write);
    end.expect("the connection is half closed");
    wire
}

fn assert_ended(mut wire: Wire) {
    let rest = wire.0.fill_buf().expect("an end");
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(rest));
}

#[test]
fn a_half_closed_client_gets_its_answers() {
    let server = Server::start();
    let mut client = server.client();
    push_image(&mut client, "a", "v1", "seed");
    let content = noise(1, (6 << 20) + 7);
    let blob = format!("/v2/a/blobs/{}", client.push_blob("a", &content));
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes();
    for _ in 0..5 {
        let (list, large) = (get("/v2/a/tags/list"), get(&blob));
        let mut wire = send_last(&server, &[&list, &get("/v2/none/tags/list"), &large]);
        assert_eq!(wire.answer().status, 200);
        assert_eq!(wire.answer().status, 404);
        assert!(wire.answer().body == content);
        assert_ended(wire);
    }
    let mut wire = send_last(&server, &[&get("/v2/a/manifests/v1")]);
    assert_eq!(wire.answer().status, 200);
    assert_ended(wire);
    // without a request, there is no answer
    assert_ended(send_last(&server, &[]));
}

#[test]
fn a_half_closed_client_gets_its_201() {
    let server = Server::start();
    let mut client = server.client();
    for (seed, size) in [(2, 100), (3, 200_000), (4, 12 << 20)] {
        let content = noise(seed, size);
        let digest = sha256(&content);
        let location = client.begin_upload("a");
        for (method, path) in [
            ("PUT", format!("{location}&digest={digest}")),
            ("POST", format!("/v2/b/blobs/uploads/?digest={digest}")),
        ] {
            let head =
                format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n");
            let mut wire = send_last(&server, &[head.as_bytes(), &content]);
            let answer = wire.answer();
            assert_eq!(answer.status, 201, "{method} {size} {answer:?}");
            assert_ended(wire);
        }
        for repository in ["a", "b"] {
            let path = format!("/v2/{repository}/blobs/{digest}");
            assert!(client.get(&path).body == content);
        }
    }
    assert!(server.upload_files().is_empty());
}

/// Its connection is not kept for ever.
#[test]
fn a_half_closed_client_that_does_not_read_is_cut_off() {
    let server = Server::with(&[("REGISTRY_HTTP_LIMITS_IDLE", "1s")]);
    let mut client = server.client();
    let content = noise(5, 32 << 20);
    let path = format!("/v2/a/blobs/{}", client.push_blob("a", &content));
    let open_files = || {
        let files = std::fs::read_dir(format!("/proc/{}/fd", server.pid()));
        files.expect("the open files").count()
    };
    let before = open_files();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes();
    let silent: Vec<_> = (0..5).map(|_| send_last(&server, &[&request])).collect();
    eventually("the requests have begun", || open_files() > before);
    eventually("the server lets go", || open_files() <= before);
    drop(silent);
}
