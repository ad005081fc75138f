//! Stopping: requests in flight are finished, nothing else is waited for.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Running, command, serve, wait_until_closed};
use crate::support::client::read_response;
use crate::support::server::upload_length;
use crate::support::{Image, noise, sha256};

/// Longest time that counts as "at once", on a busy machine.
const AT_ONCE: Duration = Duration::from_millis(1800);

fn fresh() -> (tempfile::TempDir, Running) {
    let temporary = tempfile::TempDir::new().expect("a directory");
    let server = Running::start(serve(temporary.path()));
    (temporary, server)
}

#[test]
fn a_download_in_flight_is_finished() {
    let (_directory, mut server) = fresh();
    let content = noise(1, 24 << 20);
    let digest = server.client().push_blob("a", &content);
    let mut stream = BufReader::new(server.client().connect());
    write!(
        stream.get_mut(),
        "GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    .expect("a request");
    let mut first = [0; 1];
    stream.read_exact(&mut first).expect("a beginning");
    server.terminate();
    wait_until_closed(&server.address());
    let response =
        read_response(&mut BufReader::new(first.chain(stream)), false).expect("all of it");
    assert!(response.body == content);
    assert_eq!(server.end().0, Some(0));
}

/// A restart without socket activation: the port is free at once, and both work until the last request is done.
#[test]
fn the_next_server_takes_the_port_while_requests_of_the_last_one_are_finished() {
    let (directory, mut server) = fresh();
    let location = server.client().begin_upload("a");
    let content = noise(2, 3 << 20);
    let digest = sha256(&content);
    let mut stream = BufReader::new(server.client().connect());
    let length = content.len();
    let head = format!(
        "PUT {location}&digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    );
    let (begun, rest) = content.split_at(1 << 20);
    let sent = stream
        .get_mut()
        .write_all(&[head.as_bytes(), begun].concat());
    sent.expect("a beginning");
    wait_until_received(directory.path(), &location);
    let address = server.address();
    server.terminate();
    wait_until_closed(&address);
    let mut next = command(&["serve", "--addr", &address, "--data-dir"]);
    next.arg(directory.path());
    let next = Running::start(next);
    assert_eq!(next.address(), address);
    Image::small(3).push(&mut next.client(), "a", "v1");
    stream.get_mut().write_all(rest).expect("the rest");
    let answer = read_response(&mut stream, false).expect("an answer");
    assert_eq!(answer.status, 201);
    assert_eq!(server.end().0, Some(0));
    assert!(next.client().get(&format!("/v2/a/blobs/{digest}")).body == content);
}

#[test]
fn an_upload_in_flight_is_finished_and_kept() {
    let (directory, mut server) = fresh();
    let content = noise(2, 3 << 20);
    let digest = sha256(&content);
    let location = server.client().begin_upload("a");
    let mut stream = BufReader::new(server.client().connect());
    let head = format!(
        "PUT {location}&digest={digest} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    stream.get_mut().write_all(head.as_bytes()).expect("a head");
    stream
        .get_mut()
        .write_all(&content[..1 << 20])
        .expect("a beginning");
    wait_until_received(directory.path(), &location);
    server.terminate();
    wait_until_closed(&server.address());
    stream
        .get_mut()
        .write_all(&content[1 << 20..])
        .expect("the rest");
    assert_eq!(
        read_response(&mut stream, false).expect("an answer").status,
        201
    );
    assert_eq!(server.end().0, Some(0));
    let again = Running::start(serve(directory.path()));
    assert!(again.client().get(&format!("/v2/a/blobs/{digest}")).body == content);
}

#[test]
fn a_stop_does_not_wait_for_idle_connections() {
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        assert_at_once(|| {
            let (_directory, mut server) = fresh();
            let mut used = server.client();
            assert_eq!(used.get("/v2/").status, 200);
            let unused: Vec<_> = (0..5).map(|_| server.client().connect()).collect();
            assert_eq!(server.client().get("/v2/").status, 200);
            let start = Instant::now();
            server.signal(signal);
            assert_eq!(server.end().0, Some(0));
            drop(unused);
            start.elapsed()
        });
    }
}

/// Asserts that an attempt is fast. It may be retried, because closing a database waits for a disk
/// that others use too.
fn assert_at_once(attempt: impl Fn() -> Duration) {
    let times: Vec<_> = (0..3)
        .map(|_| attempt())
        .take_while(|time| *time >= AT_ONCE)
        .collect();
    assert!(times.len() < 3, "it took {times:?}");
}

/// Starts an upload whose client falls silent, so that a stopping server waits for it.
fn start_stalled_upload(server: &Running, directory: &Path) -> TcpStream {
    let location = server.client().begin_upload("a");
    let mut stream = server.client().connect();
    write!(
        stream,
        "PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome"
    )
    .expect("a beginning");
    wait_until_received(directory, &location);
    stream
}

/// Waits until part of an upload has arrived, so that the server sees it in flight.
fn wait_until_received(directory: &Path, location: &str) {
    let start = Instant::now();
    while upload_length(directory, location) == 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "nothing arrives");
    }
}

#[test]
fn a_second_signal_stops_at_once() {
    assert_at_once(|| {
        let (directory, mut server) = fresh();
        let _stuck = start_stalled_upload(&server, directory.path());
        server.terminate();
        wait_until_closed(&server.address());
        assert!(
            server.child.try_wait().expect("a child").is_none(),
            "it did not wait for the upload"
        );
        let start = Instant::now();
        server.terminate();
        server.end();
        start.elapsed()
    });
}

#[test]
fn a_stop_waits_for_silent_clients_for_a_bounded_time() {
    const DRAIN: Duration = Duration::from_millis(300);
    assert_at_once(|| {
        let temporary = tempfile::TempDir::new().expect("a directory");
        let mut command = serve(temporary.path());
        command.env("REGISTRY_HTTP_DRAINTIMEOUT", "300ms");
        let mut server = Running::start(command);
        let _stuck = start_stalled_upload(&server, temporary.path());
        let start = Instant::now();
        server.terminate();
        let (code, _, err) = server.end();
        assert_eq!(code, Some(0), "{err}");
        start
            .elapsed()
            .checked_sub(DRAIN)
            .expect("it waits for as long as it was told")
    });
}
