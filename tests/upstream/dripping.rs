//! Answers that come byte by byte, each in time, and never end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use tarkeep::upstream::{Error, Settings};

use super::mirror::mirror;
use super::{digest, fetch, name, run, upstream};
use crate::support::hub::Hub;
use crate::support::{Image, noise, sha256};

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

/// A blob that does not say its length could go on until the disk is full.
#[test]
fn a_blob_without_an_end_is_given_up_where_its_manifest_says() {
    let hub = Hub::start();
    let image = Image::small(1);
    hub.add("library/app", "1", &image);
    let layer = sha256(&image.layers[0]);
    hub.change("library/app", |held| {
        held.blobs.insert(layer.clone(), noise(9, 5_000_000));
    });
    hub.behave(|behaviour| behaviour.sends_chunks = true);
    let server = mirror(&hub, &serde_json::json!({ "timeout": "60s" }));
    let manifest = server.client().get("/v2/hub/library/app/manifests/1");
    assert_eq!(manifest.status, 200);
    let _paused = hub.pause_at(2_000_000);
    let mut stream = TcpStream::connect(server.address()).expect("a connection");
    let patience = stream.set_read_timeout(Some(Duration::from_secs(30)));
    patience.expect("a timeout");
    let head = format!("GET /v2/hub/library/app/blobs/{layer} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("a request");
    let (begun, mut received) = (Instant::now(), Vec::new());
    // an error is an end, too
    let _ = stream.read_to_end(&mut received);
    assert!(begun.elapsed() < Duration::from_secs(20), "it goes on");
    assert!(received.len() < 1_000_000, "{}", received.len());
}
