//! Sockets passed by a service manager, and what it is told.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};

use super::{Running, command, refusal};
use crate::support::client::read_response;
use crate::support::server::read_address;
use crate::support::{Client, Image, eventually};

/// Prepares `registry serve` with sockets from descriptor 3 on, as systemd passes them.
fn activated(directory: &Path, sockets: &[&OwnedFd], names: &str) -> Command {
    let mut redirections = String::new();
    for (position, socket) in sockets.iter().enumerate() {
        fcntl_setfd(socket, FdFlags::empty()).expect("it is inherited");
        redirections += &format!(" {}<&{}", position + 103, socket.as_raw_fd());
    }
    // by way of high numbers, because the sockets may have those that are their targets
    for position in 0..sockets.len() {
        redirections += &format!(" {}<&{}", position + 3, position + 103);
    }
    let server = command(&["serve", "--addr", "127.0.0.1:1", "--data-dir"]);
    let mut shell = Command::new("bash");
    let script = format!(
        "exec{redirections}; export LISTEN_PID=$$ LISTEN_FDS={} LISTEN_FDNAMES={names}; exec \"$0\" \"$@\"",
        sockets.len()
    );
    shell.args(["-c", &script]).arg(server.get_program());
    shell.args(server.get_args()).arg(directory);
    for (name, value) in server.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

fn listening() -> (String, OwnedFd) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    (address, listener.into())
}

/// How a client connects for each image.
#[derive(Clone, Copy, PartialEq)]
enum Connections {
    New,
    Kept,
}

/// Images that many clients pushed to a server that restarts, and pulled.
#[derive(Default)]
struct Answers {
    good: AtomicUsize,
    is_over: AtomicBool,
}

impl Answers {
    /// Pushes and pulls images, each over a new connection or all over one that the server may close, until it is over.
    fn collect(&self, address: &str, number: u64, connections: Connections) {
        let mut client = Client::new(address);
        let repository = format!("load/{number}");
        for round in 0.. {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            if connections == Connections::New {
                client = Client::new(address);
            }
            let image = Image::small(1000 * number + round % 5);
            image.push(&mut client, &repository, "latest");
            image.assert_pulls(&mut client, &repository, "latest");
            self.good.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn wait_for_more(&self) {
        let before = self.good.load(Ordering::Relaxed);
        eventually("more answers", || {
            self.good.load(Ordering::Relaxed) > before + 10
        });
    }
}

/// Ends the requests of all clients when it is dropped.
struct End<'a>(&'a Answers);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

/// `RESTARTS=50` is the long form.
#[test]
fn a_restart_fails_no_push_and_no_pull() {
    let (address, socket) = listening();
    let directory = tempfile::TempDir::new().expect("a directory");
    let start = || Running::start(activated(directory.path(), &[&socket], "registry"));
    // a client that comes before the server waits
    let early = std::thread::spawn({
        let address = address.clone();
        move || Client::new(&address).get("/v2/").status
    });
    let mut server = start();
    assert_eq!(server.address(), address);
    assert_eq!(early.join().expect("an answer"), 200);
    let (answers, address) = (&Answers::default(), &*address);
    std::thread::scope(|scope| {
        let _end = End(answers);
        let clients = [Connections::New, Connections::Kept].repeat(2);
        for (number, connections) in (0..).zip(clients) {
            scope.spawn(move || answers.collect(address, number, connections));
        }
        let restarts =
            std::env::var("RESTARTS").map_or(3, |given| given.parse().expect("a number"));
        for _ in 0..restarts {
            answers.wait_for_more();
            server.terminate();
            assert_eq!(server.end().0, Some(0));
            server = start();
            answers.wait_for_more();
        }
    });
}

/// The server has accepted the connection, and its request is on the way.
#[test]
fn an_accepted_connection_is_answered_by_a_server_that_stops() {
    let (address, socket) = listening();
    let directory = tempfile::TempDir::new().expect("a directory");
    let mut server = Running::start(activated(directory.path(), &[&socket], "registry"));
    let mut connections: Vec<_> = (0..20)
        .map(|_| BufReader::new(TcpStream::connect(&address).expect("a connection")))
        .collect();
    // connections are accepted in their order
    assert_eq!(server.client().get("/v2/").status, 200);
    server.terminate();
    let mut log = BufReader::new(server.child.stderr.as_mut().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("shutting down") {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("a line"), 0, "it ended");
    }
    // on its way for as long as over a network
    std::thread::sleep(Duration::from_millis(50));
    for connection in &mut connections {
        let sent = connection
            .get_mut()
            .write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n");
        sent.expect("a request");
    }
    for connection in &mut connections {
        let response = read_response(connection, false).expect("an answer");
        assert_eq!(response.status, 200);
    }
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn sockets_have_their_purpose_by_name() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("socket");
    let unix: OwnedFd = UnixListener::bind(&path).expect("a socket").into();
    let ((debug_address, debug), (address, tcp)) = (listening(), listening());
    let data = directory.path().join("data");
    let mut command = activated(&data, &[&debug, &tcp, &unix], "debug:web:web");
    command.env("REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED", "true");
    let mut server = Running::start(command);
    assert_eq!(server.address(), address);
    assert_eq!(server.client().get("/v2/").status, 200);
    let over_unix = path.clone();
    let mut local = Client::over("x", move || Ok(Box::new(UnixStream::connect(&over_unix)?)));
    assert_eq!(local.get("/v2/").status, 200);
    let mut debug = Client::new(&debug_address);
    assert_eq!(debug.get("/metrics").status, 200);
    assert_eq!(debug.get("/v2/").status, 404);
    server.terminate();
    let (code, _, log) = server.end();
    assert_eq!(code, Some(0));
    assert!(log.contains("http.addr and --addr do not count"), "{log}");
    assert!(path.exists(), "it belongs to the service manager");
}

#[test]
fn only_listening_sockets_for_this_process_are_taken() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let (_, socket) = listening();
    let (one, _other) = UnixStream::pair().expect("sockets");
    let refused = refusal(activated(directory.path(), &[&socket, &one.into()], "a:b"));
    assert!(
        refused.contains("the socket 'b' (descriptor 4) of LISTEN_FDS does not listen for streams: write ListenStream= and Accept=no in its unit"),
        "{refused}"
    );
    // variables of a parent that was activated itself
    let mut foreign = command(&["serve", "--addr", "127.0.0.1:0", "--data-dir"]);
    foreign.arg(directory.path());
    foreign.env("LISTEN_PID", "1").env("LISTEN_FDS", "5");
    assert_eq!(Running::start(foreign).client().get("/v2/").status, 200);
}

#[test]
fn the_service_manager_learns_of_start_life_and_end() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    let patience = Some(Duration::from_secs(60));
    manager.set_read_timeout(patience).expect("a timeout");
    let message = || {
        let mut bytes = [0; 500];
        let length = manager.recv(&mut bytes).expect("a message");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let mut command = command(&["serve", "--addr", "127.0.0.1:0", "--data-dir"]);
    command
        .arg(directory.path().join("data"))
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "50000")
        .env("REGISTRY_HTTP_DRAINTIMEOUT", "20s");
    let mut child = command.stdout(Stdio::piped()).spawn().expect("a server");
    let address = read_address(&mut BufReader::new(child.stdout.take().expect("a pipe")));
    let first: Vec<_> = (0..4).map(|_| message()).collect();
    assert!(first.contains(&"READY=1".to_owned()), "{first:?}");
    assert!(first.contains(&"WATCHDOG=1".to_owned()), "{first:?}");
    assert_eq!(Client::new(&address).get("/v2/").status, 200);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
    let mut next = message();
    while next == "WATCHDOG=1" {
        next = message();
    }
    assert_eq!(next, "STOPPING=1\nEXTEND_TIMEOUT_USEC=35000000");
    assert!(child.wait().expect("it ends").success());
}
