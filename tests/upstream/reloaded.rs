//! Mirrors whose settings change under a running server, and fetches that are too many.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::json;

use super::mirror::{SEVEN, hub};
use crate::start::reloading::Configured;
use crate::support::{Server, eventually};

const BASE: &str = "version: 0.1\nlog: {level: info}\nstorage: {reserve: 0}\n";

/// A mirror that a reload made anew knows the tags that are gone, and takes the mark from one that is back.
#[test]
fn a_reload_remembers_tags_that_are_gone() {
    let (hub, _) = hub();
    let with = |timeout: &str| {
        let upstream =
            json!([{ "prefix": "hub", "url": hub.url(), "fresh": "0s", "timeout": timeout }]);
        format!("{BASE}upstreams: {upstream}\n")
    };
    let configured = Configured::start(&with("5s"));
    let mut client = configured.server.client();
    assert_eq!(client.get(SEVEN).status, 200);
    let taken = std::cell::Cell::new(None);
    hub.change("library/redis", |held| taken.set(held.tags.remove("7")));
    let gone = client.get(SEVEN);
    assert_eq!(gone.header("warning"), Some("199 - \"Gone upstream\""));
    let marked = || {
        let path = configured.data().join("registry.db");
        let database = rusqlite::Connection::open(path).expect("a database");
        let sql = "SELECT count(*) FROM tags WHERE gone_at IS NOT NULL";
        let count = database.query_row(sql, [], |row| row.get::<_, i64>(0));
        count.expect("a number")
    };
    assert_eq!(marked(), 1);
    configured.replace(&with("6s"));
    configured.hang_up();
    configured.says(&["now in force", "upstreams"]);
    let digest = taken.take().expect("a tag");
    hub.change("library/redis", |held| {
        held.tags.insert("7".to_owned(), digest);
    });
    eventually("it is back", || {
        client.get(SEVEN).header("warning").is_none()
    });
    assert_eq!(marked(), 0);
}

/// Starts a server whose upstream `hub` says nothing.
fn silenced() -> (Server, TcpListener) {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let upstream =
        json!([{ "prefix": "hub", "url": format!("http://{address}"), "timeout": "10m" }]);
    let server = Server::with(&[("REGISTRY_UPSTREAMS", &upstream.to_string())]);
    (server, silent)
}

/// Asks for many paths at once; returns the answers as they come, in small letters.
fn ask_all(server: &Server, paths: impl Iterator<Item = String>) -> Receiver<String> {
    let (sender, answers) = channel();
    for path in paths {
        let (sender, address) = (sender.clone(), server.address().to_owned());
        // ends with the server
        std::thread::spawn(move || {
            let mut stream = TcpStream::connect(address).ok()?;
            let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            sender.send(answer.to_lowercase()).ok()
        });
    }
    answers
}

#[track_caller]
fn assert_refused(answer: &str) {
    assert!(answer.starts_with("http/1.1 429"), "{answer}");
    assert!(answer.contains("retry-after: "), "{answer}");
    assert!(answer.contains("toomanyrequests"), "{answer}");
}

/// At most 128 fetches wait for one upstream: whoever comes then is told to come again.
#[test]
fn too_many_fetches_are_refused_at_once() {
    let (server, _silent) = silenced();
    let paths = (0..140).map(|number| format!("/v2/hub/app/manifests/{number}"));
    let answers = ask_all(&server, paths);
    for _ in 128..140 {
        let answer = answers.recv_timeout(Duration::from_secs(60));
        assert_refused(&answer.expect("a refusal"));
    }
    assert!(answers.try_recv().is_err(), "the others wait");
}

/// Two lists are read at once and 32 are waited for; whoever wants the same one waits for it, too.
#[test]
fn too_many_lists_are_refused_at_once() {
    let (server, silent) = silenced();
    let path = |number: usize| format!("/v2/hub/app{}/tags/list", number % 40);
    let answers = ask_all(&server, (0..120).map(path));
    let answer = answers.recv_timeout(Duration::from_secs(60));
    assert_refused(&answer.expect("a refusal"));
    silent.set_nonblocking(true).expect("a mode");
    let asked = silent.incoming().take_while(Result::is_ok).count();
    assert!(asked <= 2, "{asked} lists are read at once");
}
