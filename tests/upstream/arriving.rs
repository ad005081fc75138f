//! Blobs of mirrors that are sent to clients while they arrive from the upstream.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::mirror::{hub, mirror};
use crate::support::hub::{Hub, Part};

use crate::support::{Image, Server, eventually, eventually_some, sha256};

/// Bytes after which the upstream pauses.
const HALF: usize = 150_000;

/// A response that is read piece by piece.
pub struct Reading {
    pub status: u16,
    /// All header lines, in small letters.
    headers: String,
    body: BufReader<TcpStream>,
}

impl Reading {
    pub fn get(server: &Server, path: &str, range: &str) -> Self {
        let mut stream = server.client().connect();
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).expect("a timeout");
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{range}\r\n");
        stream.write_all(request.as_bytes()).expect("it is sent");
        let mut body = BufReader::new(stream);
        let (mut line, mut headers) = (String::new(), String::new());
        body.read_line(&mut line).expect("a status");
        let status = line.split(' ').nth(1).expect("a status");
        let status = status.parse().expect("a number");
        while !headers.ends_with("\n\r\n") {
            let read = body.read_line(&mut headers).expect("a header");
            assert!(read > 0, "{headers}");
        }
        headers.make_ascii_lowercase();
        Self {
            status,
            headers,
            body,
        }
    }

    /// Reads so many bytes, which must be there soon.
    fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.body.read_exact(&mut bytes).expect("bytes");
        bytes
    }

    /// Reads until the connection breaks, or the body is complete.
    pub fn read_rest(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = self.body.by_ref().take(count as u64);
        if let Err(error) = rest.read_to_end(&mut bytes) {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "nothing happens");
        }
        bytes
    }
}

fn path(bytes: &[u8]) -> String {
    format!("/v2/hub/library/redis/blobs/{}", sha256(bytes))
}

/// Reports whether nothing of a fetch remains.
fn is_empty(server: &Server) -> bool {
    server.blob_files().is_empty() && server.upload_files().is_empty()
}

fn fetches(hub: &Hub) -> usize {
    hub.seen_by(Part::Store).len()
}

#[test]
fn bytes_reach_clients_as_they_arrive() {
    let (hub, image) = hub();
    let layer = &image.layers[0];
    let server = mirror(&hub, &json!({}));
    let pause = hub.pause_at(HALF);
    let mut first = Reading::get(&server, &path(layer), "");
    assert_eq!(first.status, 200);
    assert!(
        first.headers.contains("content-length: 300000"),
        "{}",
        first.headers
    );
    assert_eq!(first.read(HALF), layer[..HALF]);
    let mut others = (0..49)
        .map(|_| Reading::get(&server, &path(layer), ""))
        .collect::<Vec<_>>();
    for other in &mut others {
        assert_eq!(other.read(HALF), layer[..HALF]);
    }
    assert_eq!(server.blob_files().len(), 0);
    drop(pause);
    for reading in others.iter_mut().chain([&mut first]) {
        assert_eq!(reading.read(layer.len() - HALF), layer[HALF..]);
    }
    eventually("it is stored", || server.blob_files().len() == 1);
    eventually("nothing is left over", || server.upload_files().is_empty());
    assert_eq!(&server.client().get(&path(layer)).body, layer);
    assert_eq!(fetches(&hub), 1);
}

#[test]
fn ranges_are_served_while_it_arrives() {
    let (hub, image) = hub();
    let layer = &image.layers[0];
    let server = mirror(&hub, &json!({}));
    let pause = hub.pause_at(HALF);
    let mut part = Reading::get(&server, &path(layer), "Range: bytes=100000-100009\r\n");
    assert_eq!(part.status, 206);
    // its last byte waits until the digest is compared
    assert_eq!(part.read(9), layer[100_000..100_009]);
    let mut end = Reading::get(&server, &path(layer), "Range: bytes=-10\r\n");
    assert_eq!(end.status, 206);
    drop(pause);
    assert_eq!(end.read(10), layer[layer.len() - 10..]);
    assert_eq!(part.read(1), layer[100_009..100_010]);
    assert_eq!(fetches(&hub), 1);
}

#[test]
fn a_client_that_leaves_stops_nothing() {
    let (hub, image) = hub();
    let layer = &image.layers[0];
    let server = mirror(&hub, &json!({}));
    let pause = hub.pause_at(HALF);
    let mut reading = Reading::get(&server, &path(layer), "");
    reading.read(1000);
    drop(reading);
    drop(pause);
    eventually("it is stored", || server.blob_files().len() == 1);
    assert_eq!(&server.client().get(&path(layer)).body, layer);
    assert_eq!(fetches(&hub), 1);
}

/// The last byte is held back until the digest is compared.
#[test]
fn wrong_bytes_are_never_a_whole_blob() {
    for sends_chunks in [false, true] {
        let (hub, image) = hub();
        let layer = &image.layers[0];
        hub.behave(|behaviour| {
            behaviour.alters_blobs = true;
            behaviour.sends_chunks = sends_chunks;
        });
        let server = mirror(&hub, &json!({}));
        let pause = hub.pause_at(HALF);
        let mut part = Reading::get(&server, &path(layer), "Range: bytes=1000-1009\r\n");
        let mut reading = Reading::get(&server, &path(layer), "");
        drop(pause);
        let read = reading.read_rest(400_000);
        if part.status == 206 {
            let part = part.read_rest(400_000);
            assert!(part.len() < 10, "{}", part.len());
        }
        match sends_chunks {
            false => assert!(read.len() < layer.len(), "{}", read.len()),
            true => assert!(!read.ends_with(b"0\r\n\r\n")),
        }
        eventually("nothing remains", || is_empty(&server));
    }
}

#[test]
fn a_fetch_that_fails_breaks_the_connection_and_leaves_nothing() {
    let (hub, image) = hub();
    let layer = &image.layers[0];
    hub.behave(|behaviour| behaviour.resets = [HALF].into());
    let server = mirror(&hub, &json!({}));
    let pause = hub.pause_at(1000);
    let mut reading = Reading::get(&server, &path(layer), "");
    hub.behave(|behaviour| behaviour.statuses = [(404, "")].into());
    drop(pause);
    let read = reading.read_rest(layer.len());
    assert!(read.len() < layer.len());
    assert_eq!(read, layer[..read.len()]);
    eventually("nothing remains", || is_empty(&server));
}

#[test]
fn blobs_come_without_their_length() {
    let (hub, image) = hub();
    let layer = &image.layers[0];
    let server = mirror(&hub, &json!({}));
    hub.behave(|behaviour| {
        behaviour.sends_chunks = true;
        behaviour.resets = [HALF].into();
    });
    let url = format!("http://{}{}", server.address(), path(layer));
    let mut answer = ureq::get(&url).call().expect("an answer");
    assert!(answer.headers().get("content-length").is_none());
    let body = answer.body_mut().read_to_vec().expect("a body");
    assert_eq!(&body, layer);
    eventually("it is stored", || server.blob_files().len() == 1);
    // its row may not be there yet
    let mut answer = ureq::get(&url).call().expect("an answer");
    let body = answer.body_mut().read_to_vec().expect("a body");
    assert_eq!(&body, layer);
}

/// HTTP/1.0 knows an end by the end of the connection only, which must not look the same for half a blob.
#[test]
fn an_old_client_gets_a_whole_blob_or_none() {
    let (hub, image) = hub();
    let layer = &image.layers[0];
    let server = mirror(&hub, &json!({}));
    let get = || {
        let mut stream = server.client().connect();
        let request = format!("GET {} HTTP/1.0\r\n\r\n", path(layer));
        stream.write_all(request.as_bytes()).expect("it is sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let body = answer.split_off(end.expect("a head") + 4);
        (
            String::from_utf8(answer).expect("text").to_lowercase(),
            body,
        )
    };
    hub.behave(|behaviour| {
        behaviour.sends_chunks = true;
        behaviour.alters_blobs = true;
    });
    let (head, _) = get();
    assert!(head.contains(" 502 "), "{head}");
    hub.behave(|behaviour| behaviour.alters_blobs = false);
    let (head, body) = eventually_some("it comes", || {
        let (head, body) = get();
        head.contains(" 200 ").then_some((head, body))
    });
    let length = format!("content-length: {}\r\n", layer.len());
    assert!(head.contains(&length), "{head}");
    assert_eq!(&body, layer);
}

#[test]
fn a_question_about_a_blob_fetches_nothing_of_it() {
    let (hub, image) = hub();
    let layer = &image.layers[0];
    let mut server = mirror(&hub, &json!({}));
    for _ in 0..2 {
        let answer = server.client().head(&path(layer));
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-length"), Some("300000"));
        assert_eq!(
            answer.header("docker-content-digest"),
            Some(&*sha256(layer))
        );
    }
    let seen = hub.seen();
    let heads = seen.iter().filter(|seen| seen.method == "HEAD").count();
    assert!(heads <= 2, "it learns that HEAD is refused: {seen:?}");
    let fetches = seen.iter().filter(|seen| seen.part == Part::Store);
    let ranges: Vec<_> = fetches.map(|seen| seen.header("range")).collect();
    assert_eq!(ranges, [Some("bytes=0-0"); 2]);
    assert!(is_empty(&server));
    let absent = server.client().head(&path(b"absent"));
    assert_eq!(absent.status, 404);
    server.stop();
    let listed = server.cli(&["upstream", "ls", "--output=json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    assert_eq!(listed["upstreams"][0]["fetchedSize"], 0, "{listed}");
}

/// An empty blob has no last byte to hold back.
#[test]
fn an_empty_answer_is_no_blob() {
    let (hub, image) = hub();
    let layer = &image.layers[0];
    hub.change("library/redis", |held| {
        held.blobs.insert(sha256(layer), Vec::new());
        held.blobs.insert(sha256(b""), Vec::new());
    });
    let server = mirror(&hub, &json!({}));
    server
        .client()
        .get(&path(layer))
        .refused(502, "UNAVAILABLE");
    let empty = server.client().get(&path(b""));
    assert_eq!((empty.status, empty.body.len()), (200, 0));
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_nothing() {
    let (hub, image) = hub();
    let section = json!([{ "prefix": "hub", "url": hub.url(), "ns": "docker.io" }]).to_string();
    let server = Server::with(&[
        ("REGISTRY_UPSTREAMS", &section),
        ("REGISTRY_STORAGE_RESERVE", "1125899906842624"),
    ]);
    server
        .client()
        .get(&path(&image.layers[0]))
        .refused(507, "UNAVAILABLE");
    assert!(is_empty(&server));
}

#[test]
fn a_server_that_is_killed_on_the_way_leaves_nothing() {
    let (hub, image) = hub();
    let layer = &image.layers[0];
    let mut server = mirror(&hub, &json!({}));
    let pause = hub.pause_at(HALF);
    let mut reading = Reading::get(&server, &path(layer), "");
    reading.read(1000);
    assert_eq!(server.upload_files().len(), 1);
    server.kill();
    let read = reading.read_rest(layer.len());
    assert!(read.len() < layer.len());
    server.restart();
    eventually("nothing remains", || is_empty(&server));
    drop(pause);
    image_is_pulled(&server, &image);
}

fn image_is_pulled(server: &Server, image: &Image) {
    image.assert_pulls(&mut server.client(), "hub/library/redis", "7");
}
