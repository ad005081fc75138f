//! Answers that nobody reads: what they take is bounded, and others are served meanwhile.

use std::io::{BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::memory;
use crate::support::client::{Transport, read_response};
use crate::support::{Client, Image, OCI_INDEX, OCI_MANIFEST, Response, Server, sha256};
use crate::wire::Secure;
use crate::wire::http2::{Second, wait_for};
use crate::wire::pki::secure_over;

/// Clients that do not read.
const CLIENTS: usize = 80;
/// Size of a large manifest, just below the limit, in bytes.
const SIZE: usize = (4 << 20) - 1000;
const MANIFESTS: usize = 24;
const REFERRERS: usize = 8;
/// Memory for manifests that are not read, in KiB, inside the 64 MiB for all answers.
const SPACE: u64 = 80 << 10;
/// The same for lists, of which 32 MiB wait while others are made.
const LIST_SPACE: u64 = 150 << 10;
/// Memory that the allocator may keep, in KiB.
const LEFT: u64 = 48 << 10;
/// Longest wait of a client that reads, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

type Connection = BufReader<Box<dyn Transport>>;
type Dial = dyn Fn(&str) -> std::io::Result<Box<dyn Transport>> + Send + Sync;

/// A server, and a way to connect to it.
struct Target {
    server: Server,
    dial: Arc<Dial>,
    _files: Vec<tempfile::TempDir>,
}

impl Target {
    /// A server on a Unix socket: of an answer over TCP, the kernel takes megabytes in the client's place.
    fn plain() -> Self {
        let files = tempfile::TempDir::new().expect("a directory");
        Self {
            server: Server::with(&at_socket(&files.path().join("socket"))),
            dial: Arc::new(|path| Ok(Box::new(dial_unix(path)?))),
            _files: vec![files],
        }
    }

    /// A server behind a proxy, whose clients have addresses.
    fn proxied() -> Self {
        let files = tempfile::TempDir::new().expect("a directory");
        let socket = files.path().join("socket");
        let [net, address] = at_socket(&socket);
        let trust = ("REGISTRY_HTTP_TRUSTEDPROXIES", "[127.0.0.1]");
        Self {
            server: Server::with(&[net, address, trust]),
            dial: Arc::new(|path| Ok(Box::new(dial_unix(path)?))),
            _files: vec![files],
        }
    }

    fn encrypted() -> Self {
        let files = tempfile::TempDir::new().expect("a directory");
        let secure = Secure::with(&at_socket(&files.path().join("socket")));
        let config = Arc::new(secure.authority.client_config(None, &["http/1.1"]));
        Self {
            server: secure.server,
            dial: Arc::new(move |path| Ok(Box::new(secure_over(dial_unix(path)?, &config)?))),
            _files: vec![files, secure.files],
        }
    }

    fn client(&self) -> Client {
        let (dial, address) = (Arc::clone(&self.dial), self.server.address().to_owned());
        Client::over("localhost", move || dial(&address))
    }

    /// Asks for a path, and reads no more than the status of the answer.
    fn ask(&self, path: &str) -> Connection {
        self.ask_for("192.0.2.1", path)
    }

    /// As [`Self::ask`], for the client of that address.
    fn ask_for(&self, client: &str, path: &str) -> Connection {
        let mut connection = (self.dial)(self.server.address()).expect("a connection");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {client}\r\n\r\n");
        connection
            .write_all(request.as_bytes())
            .expect("the request is taken");
        BufReader::with_capacity(1, connection)
    }

    /// Asserts that the client of this address gets a list, and soon.
    fn assert_lists_soon(&self, client: &str, list: &str) {
        let (begun, mut connection) = (Instant::now(), self.client());
        let request = connection.request("GET", list);
        let answer = request.header("X-Forwarded-For", client).send();
        let took = begun.elapsed();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(took < PATIENCE / 2, "{client} waited for {took:?}");
        println!("{client} waited for {took:?}");
    }

    /// Asserts that others are served: a large manifest, a small image, and a list.
    fn assert_serves(&self, manifest: &str) {
        let begun = Instant::now();
        let client = &mut self.client();
        assert_is(&client.get(manifest), manifest);
        let image = Image::small(1);
        image.push(client, "small", "v1");
        image.assert_pulls(client, "small", "v1");
        assert_eq!(client.get("/v2/small/tags/list").status, 200);
        assert_eq!(client.get("/v2/_catalog").status, 200);
        let took = begun.elapsed();
        assert!(took < PATIENCE, "others waited for {took:?}");
    }
}

/// Restarts a server, so that what pushing took does not count.
fn forget(server: &mut Server) {
    assert!(server.stop().success());
    server.restart();
}

fn at_socket(path: &Path) -> [(&str, &str); 2] {
    let path = path.to_str().expect("a path");
    [("REGISTRY_HTTP_NET", "unix"), ("REGISTRY_HTTP_ADDR", path)]
}

fn dial_unix(path: &str) -> std::io::Result<UnixStream> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(stream)
}

/// An index of `length` bytes, most of which are an annotation.
fn long_index(number: usize, length: usize) -> Vec<u8> {
    let index = |text: &str| {
        json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "annotations": { "number": number.to_string(), "text": text } }).to_string()
    };
    index(&"x".repeat(length - index("").len())).into_bytes()
}

/// Pushes large manifests; returns their paths.
fn push_manifests(client: &mut Client) -> Vec<String> {
    let push = |number| {
        let manifest = long_index(number, SIZE);
        let digest = sha256(&manifest);
        let answer = client.put_manifest("large", &digest, OCI_INDEX, &manifest);
        assert_eq!(answer.status, 201, "{answer:?}");
        format!("/v2/large/manifests/{digest}")
    };
    (0..MANIFESTS).map(push).collect()
}

/// Pushes manifests about one image, with large annotations; returns the path of their list, and one of them.
fn push_referrers(client: &mut Client) -> (String, String) {
    let image = Image::small(2);
    image.push(client, "large", "v1");
    let mut path = String::new();
    for number in 0..REFERRERS {
        let referrer = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/x", "layers": [],
            "config": { "mediaType": "application/x", "digest": sha256(&image.config), "size": image.config.len() },
            "subject": { "mediaType": OCI_MANIFEST, "digest": image.digest(), "size": image.manifest.len() },
            "annotations": { "number": number.to_string(), "text": "x".repeat(370 << 10) },
        });
        let referrer = referrer.to_string();
        let digest = sha256(referrer.as_bytes());
        let answer = client.put_manifest("large", &digest, OCI_MANIFEST, referrer.as_bytes());
        assert_eq!(answer.status, 201, "{answer:?}");
        path = format!("/v2/large/manifests/{digest}");
    }
    (format!("/v2/large/referrers/{}", image.digest()), path)
}

/// Asserts that an answer has the manifest that its path names.
fn assert_is(answer: &Response, path: &str) {
    let expected = path.rsplit('/').next().expect("a digest");
    assert_eq!((answer.status, &*sha256(&answer.body)), (200, expected));
}

fn manifests_are_bounded(mut target: Target) {
    let paths = push_manifests(&mut target.client());
    forget(&mut target.server);
    let before = memory(&target.server, "VmRSS");
    let unread: Vec<_> = paths.iter().cycle().take(CLIENTS).collect();
    let mut held: Vec<_> = unread.iter().map(|path| target.ask(path)).collect();
    for connection in &mut held {
        assert_eq!(status(connection), 200);
    }
    target.assert_serves(&paths[0]);
    let grown = memory(&target.server, "VmHWM") - before;
    println!("{grown} KiB for {CLIENTS} manifests");
    assert!(grown < SPACE, "{grown} KiB");
    // whoever reads after all gets the rest
    for (connection, path) in held.iter_mut().zip(unread).step_by(9) {
        let mut rest = BufReader::new("HTTP/1.1 200".as_bytes().chain(connection));
        assert_is(&read_response(&mut rest, false).expect("an answer"), path);
    }
}

#[test]
fn manifests_that_nobody_reads_are_bounded() {
    manifests_are_bounded(Target::plain());
}

#[test]
fn encrypted_manifests_that_nobody_reads_are_bounded() {
    manifests_are_bounded(Target::encrypted());
}

/// Reads the status of an answer.
fn status(connection: &mut Connection) -> u16 {
    let mut beginning = [0; 12];
    connection.read_exact(&mut beginning).expect("an answer");
    let text = String::from_utf8_lossy(&beginning).into_owned();
    text.strip_prefix("HTTP/1.1 ")
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("{text}"))
}

fn lists_are_bounded(mut target: Target) {
    let (list, manifest) = push_referrers(&mut target.client());
    forget(&mut target.server);
    let before = memory(&target.server, "VmRSS");
    let mut held: Vec<_> = (0..CLIENTS).map(|_| target.ask(&list)).collect();
    target.assert_serves(&manifest);
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let read = |connection| scope.spawn(move || status(connection));
        let threads: Vec<_> = held.iter_mut().map(read).collect();
        let join =
            |thread: std::thread::ScopedJoinHandle<'_, u16>| thread.join().expect("no panic");
        threads.into_iter().map(join).collect()
    });
    let grown = memory(&target.server, "VmHWM") - before;
    let number = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    let (given, refused) = (number(200), number(503));
    println!("{grown} KiB for {CLIENTS} lists: {given} given, {refused} refused");
    assert!(grown < LIST_SPACE, "{grown} KiB");
    assert!(given + refused == CLIENTS && refused > 10, "{statuses:?}");
    // the first that was not taken made room for others, at the latest when these waited
    assert!(given > 12, "{statuses:?}");
    drop(held);
    let end = Instant::now() + 3 * PATIENCE;
    while memory(&target.server, "VmRSS") > before + LEFT {
        assert!(Instant::now() < end, "memory stays with the allocator");
        std::thread::sleep(Duration::from_millis(100));
    }
    let answer = target.client().get(&list);
    assert_eq!(answer.status, 200, "{answer:?}");
    let manifests = answer.json()["manifests"].as_array().map(Vec::len);
    assert_eq!(manifests, Some(REFERRERS));
}

#[test]
fn lists_that_nobody_reads_are_bounded() {
    lists_are_bounded(Target::plain());
}

#[test]
fn encrypted_lists_that_nobody_reads_are_bounded() {
    lists_are_bounded(Target::encrypted());
}

/// Bytes that the kernel holds for the client of this connection, in the server's place.
fn queued(server: &Server, client: u16) -> usize {
    let (_, server) = server.address().rsplit_once(':').expect("a port");
    let server: u16 = server.parse().expect("a number");
    let ends = (format!(":{server:04X}"), format!(":{client:04X}"));
    let sockets = std::fs::read_to_string("/proc/net/tcp").expect("Linux tells");
    let socket = sockets
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|fields| fields[1].ends_with(&ends.0) && fields[2].ends_with(&ends.1));
    let queues = socket.expect("the server's end of the connection")[4];
    usize::from_str_radix(&queues[..8], 16).expect("a number")
}

/// The kernel would take megabytes ahead, for each client.
#[test]
fn what_the_kernel_holds_of_unread_manifests_is_bounded() {
    let server = Server::start();
    let paths = push_manifests(&mut server.client());
    let held: Vec<_> = paths
        .iter()
        .map(|path| {
            let mut connection = server.client().connect();
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
            let sent = connection.write_all(request.as_bytes());
            sent.expect("the request is taken");
            let port = connection.local_addr().expect("an address").port();
            let mut connection: Connection = BufReader::with_capacity(1, Box::new(connection));
            assert_eq!(status(&mut connection), 200);
            (connection, port)
        })
        .collect();
    // by the time that others are answered, the kernel has what it takes
    (0..50).for_each(|_| assert_eq!(server.client().get("/v2/").status, 200));
    let queues: Vec<_> = held
        .iter()
        .map(|(_, port)| queued(&server, *port))
        .collect();
    let sum: usize = queues.iter().sum();
    println!("{} KiB in the kernel for {MANIFESTS} manifests", sum >> 10);
    assert!(sum < MANIFESTS << 20, "{queues:?}");
}

/// Three times as many lists as fit, all of one client, leave room for the list of another.
#[test]
fn lists_that_one_client_does_not_read_delay_no_other() {
    let target = Target::proxied();
    let (list, _) = push_referrers(&mut target.client());
    let mut held: Vec<_> = (0..32).map(|_| target.ask(&list)).collect();
    assert_eq!(status(&mut held[0]), 200);
    for network in ["192.0.2.2", "192.0.2.3", "2001:db8::1"] {
        target.assert_lists_soon(network, &list);
    }
}

/// Six clients that together ask for three times as much as fits leave room for the list of one that has none.
#[test]
fn lists_that_many_clients_do_not_read_delay_no_other() {
    let target = Target::proxied();
    let (list, _) = push_referrers(&mut target.client());
    let ask = |number| target.ask_for(&format!("192.0.2.{}", number % 6), &list);
    let mut held: Vec<_> = (0..30).map(ask).collect();
    for connection in &mut held[..6] {
        assert_eq!(status(connection), 200);
    }
    for network in ["198.51.100.1", "2001:db8::1"] {
        target.assert_lists_soon(network, &list);
    }
}

/// One connection of HTTP/2 asks for more than many of HTTP/1 do.
#[test]
fn what_one_connection_does_not_read_is_bounded() {
    const STREAMS: usize = 60;
    let mut server = Server::with(&[("REGISTRY_HTTP_H2C_ENABLED", "true")]);
    let mut paths = push_manifests(&mut server.client());
    let (list, _) = push_referrers(&mut server.client());
    for is_list in [false, true] {
        if is_list {
            paths = vec![list.clone()];
        }
        forget(&mut server);
        let before = memory(&server, "VmRSS");
        wait_for(async {
            let second = Second::plain_with(&server, Some(1)).await;
            let asked: Vec<_> = paths
                .iter()
                .cycle()
                .take(STREAMS)
                .map(|path| second.ask(path))
                .collect();
            let mut statuses = Vec::new();
            let mut held = Vec::new();
            for answer in asked {
                match answer.await {
                    Ok(answer) => {
                        statuses.push(answer.status().as_u16());
                        held.push(answer);
                    }
                    // the connection ended for the sake of those that waited
                    Err(_) => statuses.push(0),
                }
            }
            let grown = memory(&server, "VmHWM") - before;
            println!("{grown} KiB for {STREAMS} streams: {statuses:?}");
            assert!(grown < LIST_SPACE, "{grown} KiB");
            assert!(statuses.contains(&200));
            assert!(is_list || statuses.iter().all(|status| *status == 200));
        });
    }
}
