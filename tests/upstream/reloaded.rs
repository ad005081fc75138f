//! Mirrors whose settings change under a running server, and fetches that are too many.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::channel;

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

/// At most 128 fetches wait for one upstream: whoever comes then is told to come again.
#[test]
fn too_many_fetches_are_refused_at_once() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let upstream =
        json!([{ "prefix": "hub", "url": format!("http://{address}"), "timeout": "10m" }]);
    let server = Server::with(&[("REGISTRY_UPSTREAMS", &upstream.to_string())]);
    let (sender, answers) = channel();
    for number in 0..140 {
        let (sender, address) = (sender.clone(), server.address().to_owned());
        // ends with the server
        std::thread::spawn(move || {
            let mut stream = TcpStream::connect(address).ok()?;
            let head = format!(
                "GET /v2/hub/app/manifests/{number} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).ok()?;
            sender.send(answer).ok()
        });
    }
    for _ in 128..140 {
        let answer = answers.recv_timeout(std::time::Duration::from_secs(60));
        let answer = answer.expect("a refusal").to_lowercase();
        assert!(answer.starts_with("http/1.1 429"), "{answer}");
        assert!(answer.contains("retry-after: "), "{answer}");
        assert!(answer.contains("toomanyrequests"), "{answer}");
    }
    assert!(answers.try_recv().is_err(), "the others wait");
}
