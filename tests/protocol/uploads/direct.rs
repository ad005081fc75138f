//! Large uploads from fast clients: threads receive them from the socket, until the client is slow, gone, or done.

use std::os::unix::fs::MetadataExt;
use std::thread;

use super::resuming::{finish, patch_head, received};
use crate::protocol::Wire;
use crate::support::{Client, Response, Server, eventually, eventually_some, noise, sha256};

/// Size of a large upload, in bytes.
const LARGE: usize = 24 << 20;
/// Number of bytes that threads receive at least of what a fast client sends.
const MOST: u64 = 4 << 20;

/// A server with metrics.
struct Watched {
    server: Server,
    debug: Client,
}

impl Watched {
    fn start() -> Self {
        let server = Server::with(&[
            ("REGISTRY_HTTP_DEBUG_ADDR", "127.0.0.1:0"),
            ("REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED", "true"),
        ]);
        let debug = eventually_some("the debug port is logged", || {
            let log = server.log();
            let line = log
                .lines()
                .find(|line| line.contains("debug port listening"))?;
            let mut words = line.split(|byte: char| byte.is_whitespace() || "\"=,}".contains(byte));
            words
                .find(|word| word.starts_with("127.0.0.1:"))
                .map(Client::new)
        });
        Self { server, debug }
    }

    fn metric(&mut self, name: &str) -> u64 {
        let metrics = String::from_utf8(self.debug.get("/metrics").body).expect("text");
        let value = metrics
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.expect("a value").parse().expect("a number")
    }

    /// Bytes that threads have received.
    fn direct(&mut self) -> u64 {
        self.metric("registry_upload_direct_bytes_total")
    }
}

/// Sends requests at once, and reads an answer to each.
fn pipeline(server: &Server, requests: Vec<Vec<u8>>) -> Vec<Response> {
    let mut wire = Wire::open(server);
    let mut writer = wire.0.get_ref().try_clone().expect("a second handle");
    let count = requests.len();
    let writing = thread::spawn(move || std::io::Write::write_all(&mut writer, &requests.concat()));
    let answers = (0..count).map(|_| wire.answer()).collect();
    writing
        .join()
        .expect("no panic")
        .expect("the server takes all");
    answers
}

fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

#[test]
fn what_follows_a_large_upload_on_its_connection_is_answered() {
    let mut watched = Watched::start();
    let content = noise(1, LARGE);
    let digest = sha256(&content);
    let mut client = watched.server.client();
    let (put, patched) = (client.begin_upload("a"), client.begin_upload("b"));
    let answers = pipeline(
        &watched.server,
        vec![
            request("PUT", &format!("{put}&digest={digest}"), "", &content),
            request("PATCH", &patched, "", &content),
            request("PUT", &format!("{patched}&digest={digest}"), "", &[]),
            request(
                "POST",
                &format!("/v2/c/blobs/uploads/?digest={digest}"),
                "",
                &content,
            ),
            request("GET", &format!("/v2/a/blobs/{digest}"), "", &[]),
        ],
    );
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [201, 202, 201, 201, 200]);
    assert!(answers[4].body == content);
    assert!(watched.direct() >= MOST, "threads received nothing");
}

#[test]
fn a_client_that_turns_silent_holds_no_thread() {
    let mut watched = Watched::start();
    let content = noise(2, LARGE);
    let mut client = watched.server.client();
    let location = client.begin_upload("a");
    let mut wire = Wire::open(&watched.server);
    wire.send(patch_head(&location, content.len()));
    let mut sent = 0;
    for end in [LARGE / 2, LARGE - (3 << 20)] {
        wire.send(&content[sent..end]);
        sent = end;
        eventually("all of it has arrived", || {
            watched.server.upload_length(&location) == sent as u64
        });
        eventually("no thread waits for the client", || {
            watched.metric("registry_blocking_tasks{state=\"running\"}") == 0
        });
    }
    assert!(watched.direct() >= MOST, "threads received nothing");
    for piece in content[sent..].chunks(1 << 20) {
        sent += piece.len();
        wire.send(piece);
        if sent < LARGE {
            eventually("the piece has arrived", || {
                watched.server.upload_length(&location) == sent as u64
            });
        }
    }
    let answer = wire.answer();
    assert_eq!(
        (answer.status, answer.header("range")),
        (202, Some(&*format!("0-{}", LARGE - 1))),
        "{answer:?}"
    );
    let closing = format!("{location}&digest={}", sha256(&content));
    assert_eq!(client.request("PUT", &closing).send().status, 201);
}

#[test]
fn a_large_upload_that_was_cut_is_resumed() {
    let mut watched = Watched::start();
    let content = noise(3, LARGE);
    let mut client = watched.server.client();
    let location = client.begin_upload("a");
    let cut = LARGE / 2 + 12_345;
    let mut wire = Wire::open(&watched.server);
    wire.send(patch_head(&location, content.len()));
    wire.send(&content[..cut]);
    drop(wire);
    eventually("what was sent has arrived", || {
        received(&mut client, &location) == cut
    });
    assert!(watched.direct() >= MOST, "threads received nothing");
    let taken = watched.server.upload_files()[0]
        .metadata()
        .expect("the upload")
        .blocks()
        * 512;
    assert!(
        taken < cut as u64 + (1 << 20),
        "{taken} bytes taken for {cut}"
    );
    let closing = format!("{location}&digest={}", sha256(&content));
    let mut wire = Wire::open(&watched.server);
    let length = LARGE - cut;
    wire.send(format!(
        "PUT {closing} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    ));
    wire.send(&content[cut..LARGE - 1]);
    drop(wire);
    eventually("the session is free again", || {
        watched.server.upload_length(&location) == cut as u64
    });
    finish(&mut client, &location, &content);
    assert!(watched.server.upload_files().is_empty());
}

#[test]
fn a_large_upload_with_a_false_length_or_digest_leaves_nothing() {
    let mut watched = Watched::start();
    let content = noise(4, LARGE);
    let mut client = watched.server.client();
    let location = client.begin_upload("a");
    let range = format!("Content-Range: 0-{LARGE}\r\n");
    let digest = sha256(b"other");
    let answers = pipeline(
        &watched.server,
        vec![
            request("PATCH", &location, &range, &content),
            request("GET", &location, "", &[]),
            request("PUT", &format!("{location}&digest={digest}"), "", &content),
            request("GET", &location, "", &[]),
        ],
    );
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [400, 204, 400, 404], "{answers:?}");
    assert_eq!(answers[1].header("range"), Some("0-0"));
    assert!(watched.direct() >= MOST, "threads received nothing");
    assert!(watched.server.upload_files().is_empty());
}
