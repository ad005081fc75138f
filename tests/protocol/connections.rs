//! Connections that are reused, interrupted, or answered before the client has finished.

use std::io::{BufRead, Read};
use std::net::Shutdown;

use proptest::prelude::*;

use super::{Wire, check, image, push};
use crate::support::client::read_response;
use crate::support::{Response, Server, eventually, noise};

/// Requests sent between large blobs.
#[derive(Clone, Copy, Debug)]
enum Pipelined {
    Blob(usize),
    BlobHead(usize),
    Range(usize, u64, u64),
    Ranges(usize),
    Manifest,
    Missing,
    Refused,
    Held(usize),
}

struct Store {
    blobs: Vec<Vec<u8>>,
    digests: Vec<String>,
    manifest: Vec<u8>,
}

impl Store {
    fn fill(server: &Server) -> Self {
        let mut client = server.client();
        let blobs: Vec<_> = [100, 65_536, (1 << 20) + 1, (6 << 20) + 7]
            .into_iter()
            .map(|size| noise(size as u64, size))
            .collect();
        let digests = blobs
            .iter()
            .map(|blob| client.push_blob("a", blob))
            .collect();
        client.push_blob("a", b"{}");
        let manifest = image(b"{}", &[]);
        push(&mut client, "a", "v1", &manifest);
        Self {
            blobs,
            digests,
            manifest: manifest.to_string().into_bytes(),
        }
    }

    fn request(&self, ask: Pipelined) -> String {
        let blob = |which: usize| format!("/v2/a/blobs/{}", self.digests[which]);
        let (method, path, extra) = match ask {
            Pipelined::Blob(which) => ("GET", blob(which), String::new()),
            Pipelined::BlobHead(which) => ("HEAD", blob(which), String::new()),
            Pipelined::Range(which, first, last) => (
                "GET",
                blob(which),
                format!("Range: bytes={first}-{last}\r\n"),
            ),
            Pipelined::Ranges(which) => ("GET", blob(which), "Range: bytes=0-9,-10\r\n".to_owned()),
            Pipelined::Manifest => ("GET", "/v2/a/manifests/v1".to_owned(), String::new()),
            Pipelined::Missing => ("GET", "/v2/a/manifests/v2".to_owned(), String::new()),
            Pipelined::Refused => ("PATCH", "/v2/".to_owned(), String::new()),
            Pipelined::Held(which) => (
                "GET",
                blob(which),
                format!("If-None-Match: {}\r\n", self.digests[which]),
            ),
        };
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{extra}\r\n")
    }

    fn assert_answers(&self, ask: Pipelined, response: &Response) {
        let (status, body): (u16, &[u8]) = match ask {
            Pipelined::Blob(which) => (200, &self.blobs[which]),
            Pipelined::BlobHead(_) => (200, b""),
            Pipelined::Range(which, first, last) => {
                (206, &self.blobs[which][first as usize..=last as usize])
            }
            Pipelined::Ranges(_) => (206, &response.body),
            Pipelined::Manifest => (200, &self.manifest),
            Pipelined::Missing => (404, &response.body),
            Pipelined::Refused => (405, &response.body),
            Pipelined::Held(_) => (304, b""),
        };
        assert_eq!(response.status, status, "{ask:?}");
        assert!(response.body == body, "{ask:?} got other bytes");
        if let Pipelined::Ranges(which) = ask {
            let blob = &self.blobs[which];
            let has = |piece: &[u8]| {
                response
                    .body
                    .windows(piece.len())
                    .any(|window| window == piece)
            };
            assert!(has(&blob[..10]) && has(&blob[blob.len() - 10..]));
        }
    }
}

fn ask() -> impl Strategy<Value = Pipelined> {
    prop_oneof![
        3 => (0_usize..4).prop_map(Pipelined::Blob),
        1 => (0_usize..4).prop_map(Pipelined::BlobHead),
        2 => (2_usize..4, 0_u64..500_000, 0_u64..500_000).prop_map(|(which, first, more)| Pipelined::Range(which, first, first + more)),
        1 => (1_usize..4).prop_map(Pipelined::Ranges),
        1 => Just(Pipelined::Manifest),
        1 => Just(Pipelined::Missing),
        1 => Just(Pipelined::Refused),
        1 => (0_usize..4).prop_map(Pipelined::Held),
    ]
}

#[test]
fn answers_on_one_connection_are_never_mixed() {
    let server = Server::start();
    let store = Store::fill(&server);
    check(
        30,
        &(prop::collection::vec(ask(), 2..8), any::<bool>()),
        |(asks, is_pipelined)| {
            let mut wire = Wire::open(&server);
            if is_pipelined {
                wire.send(
                    asks.iter()
                        .map(|&ask| store.request(ask))
                        .collect::<String>(),
                );
            }
            for &ask in &asks {
                if !is_pipelined {
                    wire.send(store.request(ask));
                }
                let response = if matches!(ask, Pipelined::BlobHead(_)) {
                    wire.head_answer()
                } else {
                    wire.answer()
                };
                store.assert_answers(ask, &response);
            }
            wire.0.get_ref().shutdown(Shutdown::Write).unwrap();
            assert!(
                wire.0.fill_buf().unwrap().is_empty(),
                "bytes after the last answer"
            );
        },
    );
}

#[test]
fn uploads_and_downloads_may_be_pipelined() {
    let server = Server::start();
    let mut client = server.client();
    let (small, large) = (noise(1, 500), noise(2, 3 << 20));
    let mut wire = Wire::open(&server);
    let mut requests = Vec::new();
    for blob in [&small, &large] {
        let digest = crate::support::sha256(blob);
        let head = format!(
            "POST /v2/p/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            blob.len()
        );
        requests.extend(
            [
                head.as_bytes(),
                blob,
                format!("GET /v2/p/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes(),
            ]
            .concat(),
        );
    }
    let mut writer = wire.0.get_ref().try_clone().unwrap();
    let writing = std::thread::spawn(move || std::io::Write::write_all(&mut writer, &requests));
    for blob in [&small, &large] {
        assert_eq!(wire.answer().status, 201);
        assert!(wire.answer().body == **blob);
    }
    writing.join().unwrap().unwrap();
    assert_eq!(client.get("/v2/").status, 200);
}

#[test]
fn clients_that_disconnect_during_a_blob_do_no_harm() {
    let server = Server::start();
    let mut client = server.client();
    let content = noise(3, 16 << 20);
    let path = format!("/v2/a/blobs/{}", client.push_blob("a", &content));
    let open_files = || {
        std::fs::read_dir(format!("/proc/{}/fd", server.pid()))
            .unwrap()
            .count()
    };
    let before = open_files();
    for taken in [0_usize, 1, 1000, 100_000, 3_000_000] {
        for range in [
            "",
            "Range: bytes=5-\r\n",
            "Range: bytes=0-9,1000-9000000\r\n",
        ] {
            let mut wire = Wire::open(&server);
            wire.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{range}\r\n"));
            wire.0.get_mut().read_exact(&mut vec![0; taken]).unwrap();
        }
    }
    assert!(client.get(&path).body == content);
    eventually("the server lets go of broken connections", || {
        open_files() <= before
    });
}

#[test]
fn many_concurrent_ranges_are_answered_correctly() {
    let server = Server::start();
    let content = noise(4, 12 << 20);
    let path = format!("/v2/a/blobs/{}", server.client().push_blob("a", &content));
    std::thread::scope(|scope| {
        for worker in 0..16_usize {
            let (server, content, path) = (&server, &content, &path);
            scope.spawn(move || {
                let mut client = server.client();
                for round in 0..8 {
                    let first = (worker * 786_432 + round * 100_003) % content.len();
                    let last = (first + 1_500_000).min(content.len() - 1);
                    let range = format!("bytes={first}-{last}");
                    let response = client.request("GET", path).header("Range", &range).send();
                    assert!(
                        response.status == 206 && response.body == content[first..=last],
                        "{range}"
                    );
                    // as containerd does: request the rest and disconnect
                    let mut wire = Wire::open(server);
                    wire.send(format!(
                        "GET {path} HTTP/1.1\r\nHost: x\r\nRange: bytes={first}-\r\n\r\n"
                    ));
                    wire.0.read_exact(&mut [0; 2000]).unwrap();
                }
            });
        }
    });
}

/// A client that is still sending can read the early rejection of its body.
#[test]
fn an_early_refusal_reaches_a_client_that_is_still_sending() {
    let server = Server::start();
    let body = noise(5, 50 << 20);
    let unknown = unused_uuid();
    for (method, path, status, code) in [
        (
            "PUT",
            "/v2/a/manifests/v1".to_owned(),
            413,
            "MANIFEST_INVALID",
        ),
        (
            "PATCH",
            format!("/v2/a/blobs/uploads/{unknown}"),
            404,
            "BLOB_UPLOAD_UNKNOWN",
        ),
        (
            "POST",
            "/v2/UPPER/blobs/uploads/".to_owned(),
            400,
            "NAME_INVALID",
        ),
        ("PUT", "/v2/nowhere".to_owned(), 404, "UNSUPPORTED"),
        ("DELETE", "/v2/".to_owned(), 405, "UNSUPPORTED"),
    ] {
        let mut wire = Wire::open(&server);
        wire.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            body.len()
        ));
        // the server may stop reading, but must not reset an answered connection
        wire.write(&body)
            .unwrap_or_else(|error| panic!("{method} {path}: reset while sending: {error}"));
        read_response(&mut wire.0, false)
            .expect("an answer")
            .refused(status, code);
    }
}

#[test]
fn a_refusal_is_sent_instead_of_100_continue() {
    let server = Server::start();
    let mut client = server.client();
    let digest = crate::support::sha256(b"content");
    let expect = "Content-Length: 7\r\nExpect: 100-continue\r\n\r\n";
    let mut wire = Wire::open(&server);
    wire.send(format!(
        "PUT /v2/a/blobs/uploads/{}?digest={digest} HTTP/1.1\r\nHost: x\r\n{expect}",
        unused_uuid()
    ));
    wire.answer().refused(404, "BLOB_UPLOAD_UNKNOWN");

    let mut wire = Wire::open(&server);
    wire.send(format!(
        "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\n{}",
        expect.replace('7', "50000000")
    ));
    assert_eq!(wire.head_answer().status, 413);

    let location = client.begin_upload("a");
    let mut wire = Wire::open(&server);
    wire.send(format!(
        "PUT {location}&digest={digest} HTTP/1.1\r\nHost: x\r\n{expect}"
    ));
    assert_eq!(wire.head_answer().status, 100);
    wire.send("content");
    assert_eq!(wire.answer().status, 201);
}

/// Clients that send large manifests slowly must not delay other pushes.
#[test]
fn slow_manifests_do_not_delay_others() {
    let server = Server::start();
    let manifest = super::index(&[]).to_string().into_bytes();
    let head = |coding: &str| {
        format!("PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\n{coding}\r\n\r\n").into_bytes()
    };
    let (lengthy, coded) = (
        "Content-Length: 4194304".to_owned(),
        "Transfer-Encoding: chunked".to_owned(),
    );
    let slow: Vec<_> = (0..40)
        .map(|number| {
            let mut wire = Wire::open(&server);
            wire.send(head(if number % 2 == 0 { &lengthy } else { &coded }));
            wire.send(if number % 2 == 0 { "{" } else { "1\r\n{\r\n" });
            wire
        })
        .collect();
    for (coding, body) in [
        (
            format!("Content-Length: {}", manifest.len()),
            manifest.clone(),
        ),
        (coded.clone(), super::chunked(&[&manifest])),
    ] {
        let mut wire = Wire::open(&server);
        wire.0
            .get_ref()
            .set_read_timeout(Some(std::time::Duration::from_secs(10)))
            .unwrap();
        wire.send([head(&coding), body].concat());
        let response = read_response(&mut wire.0, false)
            .unwrap_or_else(|error| panic!("{coding}: no answer in 10 s: {error}"));
        assert_eq!(response.status, 201, "{coding}");
    }
    drop(slow);
}

/// Clients reuse a connection unless the answer announced its close.
#[test]
fn a_refusal_keeps_the_connection_or_announces_its_close() {
    let server = Server::start();
    let unknown = format!("/v2/a/blobs/uploads/{}", unused_uuid());
    for (method, path) in [
        ("PUT", "/v2/UPPER/manifests/v1"),
        ("PATCH", &unknown),
        ("POST", "/v2/"),
        ("PUT", "/v2/nowhere"),
        ("GET", "/v2/"),
    ] {
        for (size, is_apart) in [(2, false), (2, true), (10_000, true), (300_000, true)] {
            let mut wire = Wire::open(&server);
            let head =
                format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n")
                    .into_bytes();
            let body = noise(1, size);
            if is_apart {
                wire.send(head);
                wire.send(body);
            } else {
                wire.send([head, body].concat());
            }
            let closes = wire.answer().header("connection") == Some("close");
            let next = wire
                .write("GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
                .and_then(|()| read_response(&mut wire.0, false));
            assert!(
                closes || next.is_ok_and(|response| response.body == b"{}"),
                "{method} {path} with {size} bytes, apart: {is_apart}"
            );
        }
    }
}

fn unused_uuid() -> &'static str {
    "0b5b9a1a-9f6c-4c36-8c34-9f1a3f0ea001"
}
