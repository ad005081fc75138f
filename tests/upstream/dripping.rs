//! Answers that come byte by byte, each in time, and never end.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use tarkeep::upstream::{Error, Settings};

use super::{digest, fetch, name, run, upstream};
use crate::support::sha256;

/// Starts a registry that answers everything with one byte after the other.
fn dripping() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    // ends with the process
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || drip(stream));
        }
    });
    format!("http://{address}")
}

fn drip(mut stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        .ok()?;
    loop {
        stream.write_all(b" ").ok()?;
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn answers_that_never_end_are_given_up() {
    let settings = Settings {
        stall: Duration::from_millis(50),
        ..Settings::of(&dripping())
    };
    let upstream = upstream(&settings);
    let repository = name("app");
    let slow = |factor: u32| Error::Timeout(settings.stall * factor);
    run(async {
        let manifest = upstream.manifest(&repository, "1").await;
        assert_eq!(manifest.err(), Some(slow(10)));
        assert_eq!(upstream.tags(&repository).await.err(), Some(slow(10)));
        let about = upstream
            .referrers(&repository, &digest(&sha256(b"x")))
            .await;
        assert_eq!(about.err(), Some(slow(10)));
        let blob = fetch(&upstream, "app", &sha256(b"x")).await;
        assert_eq!(blob.err(), Some(slow(20)));
    });
}
