//! Large heads of requests, as many as a client likes: what they take is bounded.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType};

use super::memory;
use crate::support::client::{dial_tcp, read_response};
use crate::support::{Server, sha256};
use crate::wire::Secure;
use crate::wire::http2::{HELLO, Second, wait_for};

/// Connections, fewer than an address may have.
const CONNECTIONS: usize = 900;
/// Memory for all of them, in KiB: 32 MiB for large heads, and the connections.
const SPACE: u64 = 96 << 10;
/// The same for unfinished handshakes of one client, which has 8 MiB for large ones.
const HANDSHAKE_SPACE: u64 = 40 << 10;
/// The same for requests whose trailers are refused.
const TRAILER_SPACE: u64 = 64 << 10;
/// Longest time until the server closes a connection, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A frame of HTTP/2 on the first stream.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .expect("a length")
        .to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
}

/// The beginning of a head of about 112 KiB, in one HEADERS frame and CONTINUATION frames, none of which is the last.
fn unfinished_head() -> Vec<u8> {
    const FRAME: usize = 16 << 10;
    // a literal header whose value has 120,000 bytes (RFC 7541, sections 5.1 and 6.2.2)
    let mut block = vec![0, 1, b'x', 0x7f, 0xc1, 0xa8, 0x07];
    block.resize(7 * FRAME, b'a');
    let frames = block.chunks(FRAME).enumerate().map(|(number, part)| {
        let kind = if number == 0 { 1 } else { 9 };
        frame(kind, 0, part)
    });
    [HELLO.to_vec(), frames.collect::<Vec<_>>().concat()].concat()
}

fn wait_for_end(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut buffer = [0; 1024];
    while !matches!(stream.read(&mut buffer), Ok(0)) {
        if stream.peek(&mut buffer).is_err() {
            return;
        }
    }
}

#[test]
fn unfinished_heads_of_http2_are_bounded() {
    let server = Server::with(&[("REGISTRY_HTTP_H2C_ENABLED", "true")]);
    let beginning = unfinished_head();
    let before = memory(&server, "VmRSS");
    let start = Instant::now();
    let mut held: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = dial_tcp(server.address()).expect("a connection");
            // those beyond the budget are closed
            let _ = stream.write_all(&beginning);
            stream
        })
        .collect();
    wait_for(async {
        let mut second = Second::plain_with(&server, None).await;
        assert_eq!(second.exchange("GET", "/v2/", b"").await.0, 200);
    });
    let grown = memory(&server, "VmHWM") - before;
    println!("{grown} KiB for {CONNECTIONS} connections");
    assert!(grown < SPACE, "{grown} KiB");
    // the first is inside the budget, and has less time than a small head
    wait_for_end(&mut held[0]);
    let took = start.elapsed();
    assert!(took > Duration::from_secs(5), "it had {took:?}");
}

/// The beginning of a ClientHello of 64 KiB: all but its last bytes, in several records.
fn unfinished_hello() -> Vec<u8> {
    let mut hello = vec![1, 0, 0xff, 0xf0];
    hello.resize(60 << 10, 0);
    let record = |part: &[u8]| {
        let length = u16::try_from(part.len()).expect("a length").to_be_bytes();
        [&[22, 3, 1], &length[..], part].concat()
    };
    hello.chunks(16 << 10).flat_map(record).collect()
}

/// Connects from an address of this machine.
fn dial_from(address: Ipv4Addr, server: &str) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None);
    let socket = socket.expect("a socket");
    rustix::net::bind(&socket, &SocketAddrV4::new(address, 0)).expect("an address");
    let server: SocketAddrV4 = server.parse().expect("an address");
    rustix::net::connect(&socket, &server).expect("a connection");
    socket.into()
}

/// One client uses up no more than its part, and what does not fit is closed at once. Ordinary handshakes do not count.
#[test]
fn unfinished_handshakes_are_bounded() {
    const AT_ONCE: usize = 200;
    let server = Secure::start();
    let hello = unfinished_hello();
    let before = memory(&server.server, "VmRSS");
    let start = Instant::now();
    let dial = |last| {
        let mut stream = dial_from([127, 0, 0, last].into(), server.server.address());
        let _ = stream.write_all(&hello);
        stream
    };
    let mut held: Vec<_> = (0..CONNECTIONS).map(|_| dial(2)).collect();
    let others: Vec<_> = (0..20).map(|_| dial(3)).collect();
    wait_for_end(held.last_mut().expect("a connection"));
    let is_waiting = |stream: &TcpStream| {
        stream.set_nonblocking(true).expect("a setting");
        let peeked = stream.peek(&mut [0]);
        peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    };
    let took = start.elapsed();
    if took < Duration::from_secs(8) {
        assert!(others.iter().all(is_waiting), "another client is refused");
    } else {
        println!("the machine is too slow to tell the others' end: {took:?}");
    }
    let grown = memory(&server.server, "VmHWM") - before;
    println!("{grown} KiB for {CONNECTIONS} connections");
    assert!(grown < HANDSHAKE_SPACE, "{grown} KiB");
    std::thread::scope(|scope| {
        let ask = || {
            let mut client = server.authority.client(server.server.address());
            assert_eq!(client.get("/v2/").status, 200);
        };
        (0..AT_ONCE).for_each(|_| drop(scope.spawn(ask)));
    });
}

/// Trailers are kept until they are complete, as a head is: more than 16 KiB are refused.
#[test]
fn unfinished_trailers_are_bounded() {
    let server = Server::start();
    let before = memory(&server, "VmRSS");
    let request = format!(
        "PUT /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n0\r\nX: {}",
        "a".repeat(120 << 10)
    );
    let mut held: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = dial_tcp(server.address()).expect("a connection");
            // a refused one may be closed
            let _ = stream.write_all(request.as_bytes());
            stream
        })
        .collect();
    wait_for_end(held.last_mut().expect("a connection"));
    assert_eq!(server.client().get("/v2/").status, 200);
    let grown = memory(&server, "VmHWM") - before;
    println!("{grown} KiB for {CONNECTIONS} connections");
    assert!(grown < TRAILER_SPACE, "{grown} KiB");
}

/// A head is kept for as long as its request is answered, which may wait for a body.
#[test]
fn heads_of_slow_requests_are_bounded() {
    let server = Server::start();
    let before = memory(&server, "VmRSS");
    let head = format!(
        "POST /v2/a/blobs/uploads/?digest={} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nX-Large: {}\r\n\r\n",
        sha256(b"x"),
        "a".repeat(120 << 10)
    );
    let mut held: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = dial_tcp(server.address()).expect("a connection");
            stream
                .write_all(head.as_bytes())
                .expect("the head is taken");
            stream
        })
        .collect();
    let last = held.pop().expect("a connection");
    let refused = read_response(&mut BufReader::new(last), false).expect("an answer");
    refused.refused(503, "UNAVAILABLE");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    // ordinary requests do not notice
    assert_eq!(server.client().get("/v2/").status, 200);
    let grown = memory(&server, "VmHWM") - before;
    println!("{grown} KiB for {CONNECTIONS} connections");
    assert!(grown < SPACE, "{grown} KiB");
    drop(held);
    let start = Instant::now();
    // the room is there again
    while server
        .client()
        .request("GET", "/v2/")
        .header("X-Large", &"a".repeat(100 << 10))
        .send()
        .status
        != 200
    {
        assert!(start.elapsed() < PATIENCE, "no room was made");
    }
}
