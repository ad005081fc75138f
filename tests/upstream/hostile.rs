//! Lists that a hostile upstream makes long: they take little memory, however many are asked for at once.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::load::memory;
use crate::support::{Server, sha256};

/// Size of a page, in bytes: as much as is read.
const PAGE: usize = (4 << 20) - 4096;
/// Memory that all lists together may take, in KiB. Each list alone took ten times as much as it has bytes.
const MOST: u64 = 96 << 10;

/// Starts a registry whose lists go on for ever; returns its URL and the number of pages that it has sent.
fn endless() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let pages = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&pages);
    // ends with the process
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let count = Arc::clone(&count);
            std::thread::spawn(move || serve(stream, &count));
        }
    });
    (format!("http://{address}"), pages)
}

fn serve(mut stream: TcpStream, pages: &AtomicUsize) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let path = line.split(' ').nth(1)?.to_owned();
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        }
        let number = pages.fetch_add(1, Ordering::Relaxed);
        let body = match path.contains("/referrers/") {
            true => referrers(number),
            false => tags(number),
        };
        let here = path.split('?').next()?;
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nLink: <{here}?page={number}>; rel=\"next\"\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body.as_bytes()).ok()?;
    }
}

/// Descriptors whose parsed form is many times as large as their text.
fn referrers(page: usize) -> String {
    let mut body = String::from(r#"{"schemaVersion":2,"manifests":["#);
    let mut number = 0;
    while body.len() < PAGE - 400 {
        let digest = sha256(format!("{page} {number}").as_bytes());
        let comma = if number > 0 { "," } else { "" };
        number += 1;
        body.push_str(&format!(
            r#"{comma}{{"digest":"{digest}","size":1,"urls":["","","",""],"annotations":{{"a":"","b":"","c":"","d":"","e":"","f":"","g":""}}}}"#
        ));
    }
    body + "]}"
}

fn tags(page: usize) -> String {
    let mut body = String::from(r#"{"tags":["x""#);
    let mut number = 0;
    while body.len() < PAGE - 40 {
        body.push_str(&format!(r#","{page}-{number:x}""#));
        number += 1;
    }
    body + "]}"
}

#[test]
fn lists_without_an_end_take_little_memory() {
    let (url, pages) = endless();
    let upstreams = json!([{ "prefix": "hub", "url": url, "timeout": "20s" }]).to_string();
    let server = Server::with(&[("REGISTRY_UPSTREAMS", &*upstreams)]);
    assert_eq!(server.client().get("/v2/").status, 200);
    let before = memory(&server, "VmRSS");
    let paths = (0..10).flat_map(|number| {
        let subject = sha256(format!("subject {number}").as_bytes());
        [
            format!("/v2/hub/app{number}/referrers/{subject}"),
            format!("/v2/hub/app{number}/tags/list"),
        ]
    });
    let paths: Vec<_> = paths.collect();
    std::thread::scope(|scope| {
        for path in &paths {
            let server = &server;
            scope.spawn(move || {
                let answer = server.client().get(path);
                // nothing of it is here; a list of referrers is empty then
                let is_refused = matches!(answer.status, 200 | 404 | 429 | 502);
                assert!(is_refused, "{path}: {}", answer.status);
            });
        }
    });
    let peak = memory(&server, "VmHWM").saturating_sub(before);
    println!(
        "{} pages of 4 MiB took {peak} KiB at most",
        pages.load(Ordering::Relaxed)
    );
    assert!(peak < MOST, "{peak} KiB");
}
