//! Slow and greedy clients, and the limits on them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Secure;
use super::pki::secure_over;
use crate::load::memory;
use crate::support::{Client, Server, noise};

/// Longest time until the server closes a connection, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads until the server closes the connection; returns the received bytes.
fn end_of(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut received = Vec::new();
    let mut buffer = [0; 65_536];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return received,
            Ok(length) => received.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return received,
            Err(error) => panic!("the connection stays: {error}"),
        }
    }
}

#[test]
fn unfinished_heads_time_out() {
    // with HTTP/2 enabled, the server inspects the first bytes itself
    let server = Server::with(&[
        ("REGISTRY_HTTP_LIMITS_HEADER", "1s"),
        ("REGISTRY_HTTP_H2C_ENABLED", "true"),
    ]);
    for beginning in ["", "PRI * HT"] {
        let mut stream = server.client().connect();
        stream
            .write_all(beginning.as_bytes())
            .expect("bytes are taken");
        end_of(&mut stream);
    }
    let server = Server::with(&[("REGISTRY_HTTP_LIMITS_HEADER", "1s")]);
    for beginning in [
        "",
        "GET /v2/ HT",
        "GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    ] {
        let mut stream = server.client().connect();
        stream
            .write_all(beginning.as_bytes())
            .expect("bytes are taken");
        end_of(&mut stream);
    }
    // single bytes do not extend the timeout
    let mut stream = server.client().connect();
    stream
        .write_all(b"GET /v2/ HTTP/1.1\r\n")
        .expect("bytes are taken");
    let start = Instant::now();
    while stream.write_all(b"X-A: b\r\n").is_ok() {
        assert!(start.elapsed() < PATIENCE, "the connection stays");
        std::thread::sleep(Duration::from_millis(100));
    }
    // nor do they after an answered request
    let mut stream = server.client().connect();
    let request = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request).expect("bytes are taken");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    stream.write_all(b"GET /v2/ HT").expect("bytes are taken");
    end_of(&mut stream);
}

/// Unfinished heads share a budget, and large ones must hurry; ordinary requests do not notice.
#[test]
fn unfinished_heads_take_little_memory() {
    let server = Server::start();
    let before = memory(&server, "RssAnon");
    let mut beginning = b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Large: ".to_vec();
    beginning.resize(120 << 10, b'a');
    let mut held: Vec<_> = (0..600)
        .map(|_| {
            let mut stream = server.client().connect();
            // those beyond the budget are closed
            let _ = stream.write_all(&beginning);
            stream
        })
        .collect();
    assert_eq!(server.client().get("/v2/").status, 200);
    let grown = memory(&server, "RssAnon").saturating_sub(before);
    assert!(grown < 60 << 10, "{grown} KiB more");
    // the first is inside the budget, and has less time than a small head
    let start = Instant::now();
    end_of(&mut held[0]);
    assert!(start.elapsed() > Duration::from_secs(1), "it had no time");
    drop(held);
    // the budget is there again
    let mut stream = server.client().connect();
    for part in [&*beginning, b"\r\nConnection: close\r\n\r\n"] {
        stream.write_all(part).expect("bytes are taken");
    }
    assert!(end_of(&mut stream).starts_with(b"HTTP/1.1 200"));
}

/// Load balancers close connections first, if the server waits longer than they do.
#[test]
fn idle_connections_have_a_time_of_their_own() {
    let request = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n";
    let server = Server::with(&[("REGISTRY_HTTP_LIMITS_KEEPALIVE", "1s")]);
    let mut stream = server.client().connect();
    stream.write_all(request).expect("bytes are taken");
    let start = Instant::now();
    assert!(String::from_utf8_lossy(&end_of(&mut stream)).contains("200 OK"));
    assert!(start.elapsed() >= Duration::from_millis(900), "too early");
    // a short time for heads does not end an idle connection, nor does a request's length
    let server = Server::with(&[("REGISTRY_HTTP_LIMITS_HEADER", "1s")]);
    let mut client = server.client();
    assert_eq!(client.get("/v2/").status, 200);
    let mut unused = server.client().connect();
    end_of(&mut unused);
    let mut stream = client.connect();
    for _ in 0..2 {
        stream.write_all(request).expect("bytes are taken");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 200");
        // as long as an unused connection lives
        let mut unused = server.client().connect();
        end_of(&mut unused);
        let mut rest = vec![0; 4096];
        let _ = stream.read(&mut rest).expect("the rest of the answer");
    }
}

#[test]
fn stalled_bodies_time_out_and_slow_ones_do_not() {
    let server = Server::with(&[("REGISTRY_HTTP_LIMITS_IDLE", "2s")]);
    let mut client = server.client();
    let location = client.begin_upload("a");
    let head = |location: &str| {
        format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegin")
    };
    let mut stream = client.connect();
    stream
        .write_all(head(&location).as_bytes())
        .expect("bytes are taken");
    let received = String::from_utf8_lossy(&end_of(&mut stream)).into_owned();
    assert!(
        received.contains("400 Bad Request") && received.contains("sent nothing for 2s"),
        "{received}"
    );

    let location = client.begin_upload("a");
    let mut stream = client.connect();
    stream
        .write_all(head(&location).as_bytes())
        .expect("bytes are taken");
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(700));
        stream.write_all(&noise(1, 19)).expect("bytes are taken");
    }
    let response =
        crate::support::client::read_response(&mut std::io::BufReader::new(stream), false)
            .expect("an answer");
    assert_eq!(response.status, 202, "{response:?}");
}

fn open_files(server: &Server) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.pid()))
        .expect("a process")
        .count()
}

/// Counts the connections of a server, as the kernel lists them. A runtime may open other sockets at any time.
fn connections(server: &Server) -> usize {
    let (_, port) = server.address().rsplit_once(':').expect("a port");
    let port: u16 = port.parse().expect("a number");
    let local = format!(":{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").expect("a table");
    let is_open = |line: &&str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        // neither listening nor closed by the server
        columns[1].ends_with(&local) && columns[3] != "0A" && columns[9] != "0"
    };
    table.lines().skip(1).filter(is_open).count()
}

#[test]
fn unread_answers_time_out() {
    let server = Server::with(&[("REGISTRY_HTTP_LIMITS_IDLE", "2s")]);
    let blob = noise(1, 64 << 20);
    let path = format!("/v2/a/blobs/{}", server.client().push_blob("a", &blob));
    let before = open_files(&server);
    let mut stream = server.client().connect();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
        .expect("the request is taken");
    stream.read_exact(&mut [0; 1000]).expect("bytes");
    assert!(open_files(&server) > before);
    let start = Instant::now();
    // the client's earlier connection may be closed too, so there may be fewer
    while open_files(&server) > before {
        assert!(start.elapsed() < PATIENCE, "the connection stays");
        std::thread::sleep(Duration::from_millis(50));
    }
    let taken = end_of(&mut stream).len();
    assert!(taken < blob.len(), "{taken}");
}

/// TLS buffers the end of an answer, so only its flush waits: the timeout applies whatever the
/// answer's length.
#[test]
fn unread_encrypted_answers_time_out() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("registry.sock");
    // the kernel buffers equally much for each of these sockets
    let address = ("REGISTRY_HTTP_ADDR", path.to_str().expect("a path"));
    let server = Secure::with(&[
        ("REGISTRY_HTTP_NET", "unix"),
        address,
        ("REGISTRY_HTTP_LIMITS_IDLE", "2s"),
    ]);
    let config = Arc::new(server.authority.client_config(None, &["http/1.1"]));
    let connect = || secure_over(UnixStream::connect(&path)?, &config);
    let (target, identity) = (path.clone(), Arc::clone(&config));
    let mut client = Client::over("localhost", move || {
        Ok(Box::new(secure_over(
            UnixStream::connect(&target)?,
            &identity,
        )?))
    });
    let blob = format!("/v2/a/blobs/{}", client.push_blob("a", &noise(1, 1 << 20)));
    drop(client);
    let before = open_files(&server.server);
    // 64 KiB count as written
    let held: Vec<_> = (1..20_u32)
        .map(|number| {
            let mut stream = connect().expect("a connection");
            let range = format!("bytes=0-{}", number * (24 << 10));
            stream
                .write_all(
                    format!("GET {blob} HTTP/1.1\r\nHost: x\r\nRange: {range}\r\n\r\n").as_bytes(),
                )
                .expect("bytes are taken");
            stream
        })
        .collect();
    let start = Instant::now();
    // connections whose answers fit into the kernel's buffers wait for the next request
    let mut open = open_files(&server.server);
    while open > before + 10 {
        assert!(
            start.elapsed() < PATIENCE,
            "{} files and connections of {} stay open",
            open - before,
            held.len()
        );
        std::thread::sleep(Duration::from_millis(50));
        open = open_files(&server.server);
    }
}

/// An overlong list of ranges is ignored and costs no more than its own bytes.
#[test]
fn very_long_range_lists_are_ignored() {
    let server = Server::start();
    let mut client = server.client();
    let path = format!("/v2/a/blobs/{}", client.push_blob("a", &noise(1, 8 << 20)));
    let ask = |count: usize| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nRange: bytes={}\r\n\r\n",
            "-1,".repeat(count)
        )
    };
    let before = memory(&server, "RssAnon");
    let mut held = Vec::new();
    for (count, status) in [(40_000, 200), (1024, 206)] {
        for _ in 0..10 {
            let mut stream = server.client().connect();
            stream
                .write_all(ask(count).as_bytes())
                .expect("bytes are taken");
            let mut status_line = [0; 12];
            stream.read_exact(&mut status_line).expect("an answer");
            assert_eq!(status_line, format!("HTTP/1.1 {status}").as_bytes());
            held.push(stream);
        }
        let grown = memory(&server, "RssAnon").saturating_sub(before);
        println!("{grown} KiB for {} requests", held.len());
        assert!(grown < 8 << 10, "{grown} KiB");
    }
}

#[test]
fn connections_per_address_are_limited() {
    let environment = [
        ("REGISTRY_HTTP_LIMITS_CONNECTIONSPERADDRESS", "5"),
        ("REGISTRY_HTTP_TRUSTEDPROXIES", "[127.0.0.1]"),
    ];
    let server = Server::with(&environment[..1]);
    let mut held: Vec<_> = (0..5).map(|_| server.client()).collect();
    held.iter_mut()
        .for_each(|client| assert_eq!(client.get("/v2/").status, 200));
    let mut sixth = server.client().connect();
    let _ = sixth.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(end_of(&mut sixth).is_empty());
    // a closed connection frees its slot
    held.pop();
    let start = Instant::now();
    while server.client().request("GET", "/v2/").try_send().is_err() {
        assert!(start.elapsed() < PATIENCE, "no room was made");
    }
    // a trusted proxy represents many clients
    let server = Server::with(&environment);
    let mut held: Vec<_> = (0..20).map(|_| server.client()).collect();
    held.iter_mut()
        .for_each(|client| assert_eq!(client.get("/v2/").status, 200));
}

#[test]
fn connections_are_limited_in_total() {
    let server = Server::with(&[("REGISTRY_HTTP_LIMITS_CONNECTIONS", "3")]);
    let mut held: Vec<_> = (0..3).map(|_| server.client()).collect();
    held.iter_mut()
        .for_each(|client| assert_eq!(client.get("/v2/").status, 200));
    // another connection waits, and is served once a slot is free
    let mut fourth = server.client().connect();
    fourth
        .write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .expect("bytes are taken");
    fourth
        .set_read_timeout(Some(Duration::from_millis(500)))
        .expect("a timeout");
    assert!(fourth.read(&mut [0; 1]).is_err(), "it is served");
    held.pop();
    assert!(String::from_utf8_lossy(&end_of(&mut fourth)).contains("200 OK"));
}

/// A client refused while sending is read for a moment, so that it gets the reason, but not for
/// longer.
#[test]
fn a_refused_client_that_keeps_sending_is_disconnected() {
    let server = Server::start();
    let before = connections(&server);
    let mut stream = server.client().connect();
    stream
        .write_all(b"PUT /v2/nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nbegin")
        .expect("bytes are taken");
    assert!(String::from_utf8_lossy(&end_of(&mut stream)).contains("404 Not Found"));
    let start = Instant::now();
    while connections(&server) > before {
        assert!(start.elapsed() < PATIENCE, "the connection stays");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_size_of_a_head_is_limited() {
    let server = Server::start();
    for (size, status) in [(100 << 10, 200), (129 << 10, 431), (200 << 10, 431)] {
        let mut client = server.client();
        // in pieces, and in one write
        assert_eq!(
            client
                .request("GET", "/v2/")
                .header("X-Large", &"x".repeat(size))
                .send()
                .status,
            status,
            "{size}"
        );
        let mut stream = client.connect();
        let head = format!(
            "GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Large: {}",
            "x".repeat(size)
        );
        for piece in head.as_bytes().chunks(10_000) {
            let _ = stream.write_all(piece);
        }
        let _ = stream.write_all(b"\r\n\r\n");
        assert!(
            String::from_utf8_lossy(&end_of(&mut stream)).contains(&format!("HTTP/1.1 {status}")),
            "{size}"
        );
    }
}
