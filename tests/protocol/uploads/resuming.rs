//! Interrupted uploads: the client dies, the server dies, a body ends early.

use std::os::unix::fs::FileExt;

use crate::protocol::Wire;
use crate::support::{Client, Server, eventually, noise, sha256};

/// Number of received bytes according to the session's status.
pub(super) fn received(client: &mut Client, location: &str) -> usize {
    let response = client.get(location);
    assert_eq!(response.status, 204, "{response:?}");
    let last: usize = response
        .header("range")
        .and_then(|range| range.strip_prefix("0-"))
        .expect("a range")
        .parse()
        .expect("a number");
    if last == 0 { 0 } else { last + 1 }
}

/// Sends the missing part of `content` and asserts that the blob is complete.
pub(super) fn finish(client: &mut Client, location: &str, content: &[u8]) {
    let start = received(client, location);
    let range = format!("{start}-{}", content.len() - 1);
    let response = client
        .request("PATCH", location)
        .header("Content-Range", &range)
        .body(&content[start..])
        .send();
    assert_eq!(response.status, 202, "{response:?}");
    let digest = sha256(content);
    assert_eq!(
        client
            .request("PUT", &format!("{location}&digest={digest}"))
            .send()
            .status,
        201
    );
    assert!(client.get(&format!("/v2/a/blobs/{digest}")).body == content);
}

pub(super) fn patch_head(location: &str, promised: usize) -> String {
    format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: {promised}\r\n\r\n")
}

#[test]
fn an_interrupted_client_can_resume() {
    let server = Server::start();
    let mut client = server.client();
    for (seed, arrived) in [(1, 1000), (2, 100_000), (3, 1_000_000)] {
        let content = noise(seed, 1_500_000);
        let location = client.begin_upload("a");
        assert_eq!(
            client
                .request("PATCH", &location)
                .body(&content[..300])
                .send()
                .status,
            202
        );
        let mut wire = Wire::open(&server);
        wire.send(patch_head(&location, content.len() - 300));
        wire.send(&content[300..arrived]);
        drop(wire);
        eventually("what was sent has arrived", || {
            received(&mut client, &location) == arrived
        });
        finish(&mut client, &location, &content);
    }
    assert!(server.upload_files().is_empty());
}

#[test]
fn an_interrupted_last_chunk_can_be_sent_again() {
    let server = Server::start();
    let mut client = server.client();
    let content = noise(4, 400_000);
    let location = client.begin_upload("a");
    assert_eq!(
        client
            .request("PATCH", &location)
            .body(&content[..1000])
            .send()
            .status,
        202
    );
    let path = format!("{location}&digest={}", sha256(&content));
    let refusal = client
        .request("PUT", &path)
        .body(&content[1000..200_000])
        .send_truncated(content.len() - 1000);
    if let Some(refusal) = refusal {
        refusal.refused(400, "BLOB_UPLOAD_INVALID");
    }
    assert_eq!(received(&mut client, &location), 1000);
    let answer = client.request("PUT", &path).body(&content[1000..]).send();
    assert_eq!(answer.status, 201);
    assert!(
        client
            .get(&format!("/v2/a/blobs/{}", sha256(&content)))
            .body
            == content
    );
}

#[test]
fn a_session_survives_a_restart() {
    let mut server = Server::start();
    let content = noise(5, 1_000_000);
    let location = server.client().begin_upload("a");
    for (end, is_killed) in [
        (0, true),
        (100_000, true),
        (250_000, false),
        (600_000, true),
    ] {
        let mut client = server.client();
        let start = received(&mut client, &location);
        let response = client
            .request("PATCH", &location)
            .body(&content[start..end])
            .send();
        assert_eq!(response.status, 202);
        if is_killed {
            server.kill();
        } else {
            assert!(server.stop().success());
        }
        server.restart();
        assert_eq!(
            received(&mut server.client(), &location),
            end,
            "acknowledged bytes were lost"
        );
    }
    finish(&mut server.client(), &location, &content);
    assert!(server.upload_files().is_empty());
}

#[test]
fn a_restarted_server_knows_the_algorithm_of_a_session() {
    let mut server = Server::start();
    let content = noise(8, 200_000);
    let begun = server
        .client()
        .request("POST", "/v2/a/blobs/uploads/?digest-algorithm=sha512")
        .send();
    let location = begun.header("location").expect("a location").to_owned();
    assert_eq!(
        server
            .client()
            .request("PATCH", &location)
            .body(&content[..150_000])
            .send()
            .status,
        202
    );
    server.kill();
    server.restart();
    let mut client = server.client();
    assert_eq!(received(&mut client, &location), 150_000);
    let digest = crate::protocol::sha512(&content);
    let finished = client
        .request("PUT", &format!("{location}&digest={digest}"))
        .body(&content[150_000..])
        .send();
    assert_eq!(
        (finished.status, finished.header("docker-content-digest")),
        (201, Some(&*digest))
    );
    assert!(client.get(&format!("/v2/a/blobs/{digest}")).body == content);
}

#[test]
fn an_upload_resumes_after_the_last_complete_chunk_before_a_kill() {
    let mut server = Server::start();
    let content = noise(6, 3_000_000);
    let location = server.client().begin_upload("a");
    assert_eq!(
        server
            .client()
            .request("PATCH", &location)
            .body(&content[..100_000])
            .send()
            .status,
        202
    );
    let mut wire = Wire::open(&server);
    wire.send(patch_head(&location, content.len()));
    wire.send(&content[100_000..2_000_000]);
    eventually("some of it is written", || {
        server.upload_length(&location) > 500_000
    });
    server.kill();
    // as after a power failure: of the right length, but not written
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&server.upload_files()[0])
        .expect("the upload");
    file.write_all_at(&[0; 1000], 100_000).expect("zeros");
    server.restart();
    assert_eq!(received(&mut server.client(), &location), 100_000);
    finish(&mut server.client(), &location, &content);
}

#[test]
fn a_truncated_push_in_one_request_leaves_nothing() {
    let mut server = Server::start();
    let content = noise(7, 500_000);
    let digest = sha256(&content);
    let path = format!("/v2/a/blobs/uploads/?digest={digest}");
    for sent in [0, 1, 100_000, content.len() - 1, content.len()] {
        let mut client = server.client();
        if let Some(response) = client
            .request("POST", &path)
            .body(&content[..sent])
            .send_truncated(content.len() + 1)
        {
            assert_eq!(response.status, 400);
            response.error_code();
        }
        let mut wire = Wire::open(&server);
        wire.send(format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            content.len() + 1
        ));
        wire.send(&content[..sent]);
        drop(wire);
        eventually("nothing is left", || server.upload_files().is_empty());
        assert_eq!(client.head(&format!("/v2/a/blobs/{digest}")).status, 404);
    }
    // the next start clears what a killed server left of such a push
    let mut wire = Wire::open(&server);
    wire.send(format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        content.len()
    ));
    wire.send(&content[..400_000]);
    eventually("there is a file", || !server.upload_files().is_empty());
    server.kill();
    server.restart();
    eventually("it is gone", || server.upload_files().is_empty());
    assert!(server.blob_files().is_empty());
}

/// A start must not remove a session that waits for its client.
#[test]
fn a_start_keeps_open_sessions() {
    let mut server = Server::start();
    let location = server.client().begin_upload("a");
    assert_eq!(
        server
            .client()
            .request("PATCH", &location)
            .body(b"waiting")
            .send()
            .status,
        202
    );
    let stray = server
        .directory()
        .join("uploads/0b5b9a1a-9f6c-4c36-8c34-9f1a3f0ea001");
    std::fs::write(&stray, "of nobody").expect("a file");
    server.kill();
    server.restart();
    eventually("the stray file is cleared", || !stray.exists());
    assert_eq!(received(&mut server.client(), &location), 7);
}
