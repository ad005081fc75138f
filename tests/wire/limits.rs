//! Slow and greedy clients, and the settings against them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Secure;
use super::pki::secure_over;
use crate::load::memory;
use crate::support::{Client, Server, noise};

/// The longest that a connection which should end may stay, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads until the server ends the connection; gives what it said.
fn end_of(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut said = Vec::new();
    let mut buffer = [0; 65_536];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return said,
            Ok(length) => said.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return said,
            Err(error) => panic!("the connection stays: {error}"),
        }
    }
}

#[test]
fn heads_that_do_not_end_are_given_up() {
    // where HTTP/2 may come the first bytes are looked at by ourselves
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
    // dribbling does not help
    let mut stream = server.client().connect();
    stream
        .write_all(b"GET /v2/ HTTP/1.1\r\n")
        .expect("bytes are taken");
    let start = Instant::now();
    while stream.write_all(b"X-A: b\r\n").is_ok() {
        assert!(start.elapsed() < PATIENCE, "the connection stays");
        std::thread::sleep(Duration::from_millis(100));
    }
    // nor does a request that was answered, after which nothing comes
    let mut stream = server.client().connect();
    stream
        .write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("bytes are taken");
    assert!(String::from_utf8_lossy(&end_of(&mut stream)).contains("200 OK"));
}

#[test]
fn bodies_that_bring_nothing_are_given_up_and_slow_ones_are_not() {
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
    let said = String::from_utf8_lossy(&end_of(&mut stream)).into_owned();
    assert!(
        said.contains("400 Bad Request") && said.contains("sent nothing for 2s"),
        "{said}"
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

#[test]
fn answers_that_nobody_takes_are_given_up() {
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
    // the client's own connection from before may end as well, so there may be fewer
    while open_files(&server) > before {
        assert!(start.elapsed() < PATIENCE, "the connection stays");
        std::thread::sleep(Duration::from_millis(50));
    }
    let taken = end_of(&mut stream).len();
    assert!(taken < blob.len(), "{taken}");
}

/// Encryption takes the last of an answer as written, and only its flush waits: whatever the answer's length, the client is
/// given up.
#[test]
fn encrypted_answers_that_nobody_takes_are_given_up() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("registry.sock");
    // the system keeps just as much for the client of such a socket each time
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
    // 64 KiB are taken as written
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
    // those whose answers fit into the system's buffers wait for the next request
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

/// A list of ranges that is longer than anybody needs is passed over, and costs no more than its own bytes.
#[test]
fn endless_lists_of_ranges_cost_nothing() {
    let server = Server::start();
    let mut client = server.client();
    let path = format!("/v2/a/blobs/{}", client.push_blob("a", &noise(1, 8 << 20)));
    let ask = |count: usize| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nRange: bytes={}\r\n\r\n",
            "-1,".repeat(count)
        )
    };
    let before = memory(&server, "VmRSS");
    let mut held = Vec::new();
    for (count, status) in [(40_000, 200), (1024, 206)] {
        for _ in 0..10 {
            let mut stream = server.client().connect();
            stream
                .write_all(ask(count).as_bytes())
                .expect("bytes are taken");
            let mut said = [0; 12];
            stream.read_exact(&mut said).expect("an answer");
            assert_eq!(said, format!("HTTP/1.1 {status}").as_bytes());
            held.push(stream);
        }
        let grown = memory(&server, "VmRSS").saturating_sub(before);
        println!("{grown} KiB for {} requests", held.len());
        assert!(grown < 8 << 10, "{grown} KiB");
    }
}

#[test]
fn one_address_has_only_so_many_connections() {
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
    // whoever leaves makes room
    held.pop();
    let start = Instant::now();
    while server.client().request("GET", "/v2/").try_send().is_err() {
        assert!(start.elapsed() < PATIENCE, "no room was made");
    }
    // a trusted proxy stands for many
    let server = Server::with(&environment);
    let mut held: Vec<_> = (0..20).map(|_| server.client()).collect();
    held.iter_mut()
        .for_each(|client| assert_eq!(client.get("/v2/").status, 200));
}

#[test]
fn all_together_have_only_so_many_connections() {
    let server = Server::with(&[("REGISTRY_HTTP_LIMITS_CONNECTIONS", "3")]);
    let mut held: Vec<_> = (0..3).map(|_| server.client()).collect();
    held.iter_mut()
        .for_each(|client| assert_eq!(client.get("/v2/").status, 200));
    // one more waits, and is served once there is room
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

/// Whoever is refused while it sends is listened to for a moment, so that it can read why, and not for longer.
#[test]
fn a_refused_client_that_stays_is_let_go() {
    let server = Server::start();
    let before = open_files(&server);
    let mut stream = server.client().connect();
    stream
        .write_all(b"PUT /v2/nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nbegin")
        .expect("bytes are taken");
    assert!(String::from_utf8_lossy(&end_of(&mut stream)).contains("404 Not Found"));
    let start = Instant::now();
    while open_files(&server) > before {
        assert!(start.elapsed() < PATIENCE, "the connection stays");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_head_has_only_so_many_bytes() {
    let server = Server::start();
    for (size, status) in [(100 << 10, 200), (129 << 10, 431), (200 << 10, 431)] {
        let mut client = server.client();
        // in pieces, and in one
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
