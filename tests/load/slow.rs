//! Slow clients do not slow others down and cost the server little.

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use super::memory;
use crate::support::client::read_response;
use crate::support::{Client, Image, OCI_INDEX, Server, noise, sha256};

const SLOW: usize = 200;
/// Size of each slow upload, in bytes.
const LENGTH: usize = 1000;
/// Longest wait of a fast client on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// Memory allowed for one slow client, in KiB.
const COST: u64 = 80;

struct SlowUpload {
    location: String,
    content: Vec<u8>,
    connection: TcpStream,
}

impl SlowUpload {
    /// Opens a session and sends the first bytes of a PATCH.
    fn begin(client: &mut Client, number: usize) -> Self {
        let location = client.begin_upload("slow");
        let mut connection = client.connect();
        let head =
            format!("PATCH {location} HTTP/1.1\r\nHost: slow\r\nContent-Length: {LENGTH}\r\n\r\n");
        connection
            .write_all(head.as_bytes())
            .expect("the head is taken");
        let mut upload = Self {
            location,
            content: noise(number as u64, LENGTH),
            connection,
        };
        upload.send(0..7);
        upload
    }

    fn send(&mut self, range: std::ops::Range<usize>) {
        self.connection
            .write_all(&self.content[range])
            .expect("bytes are taken");
    }

    /// Waits until the server has received `received` bytes.
    fn wait_for(&self, server: &Server, received: u64) {
        let deadline = Instant::now() + PATIENCE;
        while server.upload_length(&self.location) != received {
            assert!(
                Instant::now() < deadline,
                "{} has not got its {received} bytes",
                self.location
            );
        }
    }

    fn finish(self, client: &mut Client) {
        let response =
            read_response(&mut BufReader::new(self.connection), false).expect("an answer");
        assert_eq!(
            (response.status, response.header("range")),
            (202, Some(&*format!("0-{}", LENGTH - 1))),
            "{response:?}"
        );
        let digest = sha256(&self.content);
        let response = client
            .request("PUT", &format!("{}&digest={digest}", self.location))
            .send();
        assert_eq!(response.status, 201, "{response:?}");
    }
}

#[test]
fn slow_and_idle_clients_neither_block_others_nor_cost_much() {
    let server = Server::start();
    let client = &mut server.client();
    // a fast client's memory is not counted as the slow ones'
    push_and_pull_quickly(&server, 0);
    let before = memory(&server, "VmHWM");

    let mut slow: Vec<_> = (0..SLOW)
        .map(|number| SlowUpload::begin(client, number))
        .collect();
    // and some clients that send nothing, or part of a request
    let idle: Vec<_> = (0..SLOW).map(|_| client.connect()).collect();
    for mut connection in &idle[..SLOW / 2] {
        connection
            .write_all(b"GET /v2/ HTTP/1.1\r\nHost:")
            .expect("half a request is taken");
    }
    slow.iter().for_each(|upload| upload.wait_for(&server, 7));
    push_and_pull_quickly(&server, 1);
    for sent in 7..27 {
        slow.iter_mut()
            .for_each(|upload| upload.send(sent..sent + 1));
    }
    slow.iter().for_each(|upload| upload.wait_for(&server, 27));
    push_and_pull_quickly(&server, 2);

    let grown = memory(&server, "VmHWM") - before;
    println!("{grown} KiB for {SLOW} slow uploads, {SLOW} idle connections");
    assert!(
        grown < COST * SLOW as u64,
        "{grown} KiB for {SLOW} slow clients"
    );

    slow.iter_mut().for_each(|upload| upload.send(27..LENGTH));
    slow.into_iter().for_each(|upload| upload.finish(client));
    assert!(server.upload_files().is_empty());
}

/// Pushes and pulls an image within [`PATIENCE`].
fn push_and_pull_quickly(server: &Server, seed: u64) {
    let begun = Instant::now();
    let client = &mut server.client();
    let image = Image::new(
        &format!("quick {seed}"),
        vec![noise(seed, 1 << 20), noise(seed, 100)],
    );
    image.push(client, "quick", "latest");
    image.assert_pulls(client, "quick", "latest");
    assert!(
        begun.elapsed() < PATIENCE,
        "one image took {:?}",
        begun.elapsed()
    );
}

/// Large manifests wait for memory, and slow ones yield it to others.
#[test]
fn slow_manifests_do_not_block_others() {
    let server = Server::start();
    let _slow = slow_manifests(&server, 20, 70_000);
    // by the time that others are answered, these are waited for
    (0..50).for_each(|_| assert_eq!(server.client().get("/v2/").status, 200));
    push_manifest_quickly(&server, "192.0.2.2");
}

/// More than all may have, from one client: it waits for itself.
#[test]
fn slow_manifests_of_one_client_do_not_block_those_of_another() {
    let server = Server::with(&[("REGISTRY_HTTP_TRUSTEDPROXIES", "[127.0.0.1]")]);
    let _slow = slow_manifests(&server, 300, 150_000);
    (0..50).for_each(|_| assert_eq!(server.client().get("/v2/").status, 200));
    push_manifest_quickly(&server, "192.0.2.2");
}

/// Sends the first `length` bytes of manifests, as one client.
fn slow_manifests(server: &Server, number: usize, length: usize) -> Vec<TcpStream> {
    let send = |number| {
        let mut connection = server.client().connect();
        let head = format!(
            "PUT /v2/slow/manifests/v{number} HTTP/1.1\r\nHost: slow\r\nX-Forwarded-For: 192.0.2.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        let chunk = format!("{length:x}\r\n{}\r\n", " ".repeat(length));
        let sent = connection.write_all((head + &chunk).as_bytes());
        sent.expect("bytes are taken");
        connection
    };
    (0..number).map(send).collect()
}

fn push_manifest_quickly(server: &Server, client: &str) {
    let begun = Instant::now();
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "annotations": { "long": "x".repeat(300_000) } });
    let answer = server
        .client()
        .request("PUT", "/v2/quick/manifests/v1")
        .header("Content-Type", OCI_INDEX)
        .header("X-Forwarded-For", client)
        .body(index.to_string().as_bytes())
        .send();
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(
        begun.elapsed() < PATIENCE,
        "a manifest took {:?}",
        begun.elapsed()
    );
}
