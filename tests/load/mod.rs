//! Many clients at once: no request fails, nothing is stored twice, and memory does not grow with
//! their number.

mod batches;
mod heads;
mod parsing;
mod slow;
mod unread;

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier, Mutex};

use crate::support::{Client, Image, OCI_MANIFEST, Server, noise, sha256};

const CLIENTS: usize = 32;
/// Images that each client pushes before it pulls others' images.
const IMAGES: usize = 3;
/// Layers that all clients push at the same time without checking first.
const LARGE_LAYERS: usize = 4;
const LARGE: usize = 8 << 20;
/// Peak memory allowed to the server beside the pages of its program, which is large without optimisation; in KiB.
const PEAK: u64 = 44 << 10;

/// A memory figure of the server in KiB: `VmHWM` is the peak, `VmRSS` the current size.
pub fn memory(server: &Server, figure: &str) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("Linux tells");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(figure))
        .expect("a figure");
    line.trim_matches(|letter: char| !letter.is_ascii_digit())
        .parse()
        .expect("a number")
}

/// A layer, and its digest, computed once for all clients.
type Layer = Arc<(Vec<u8>, String)>;

fn layer(seed: u64, length: usize) -> Layer {
    let content = noise(seed, length);
    let digest = sha256(&content);
    Arc::new((content, digest))
}

#[test]
fn thirty_two_clients_push_and_pull_at_once() {
    let server = Server::start();
    let large: Vec<_> = (0..LARGE_LAYERS)
        .map(|number| layer(number as u64, LARGE))
        .collect();
    let start = Barrier::new(CLIENTS);
    let pushed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (server, large, start, pushed) = (&server, &large, &start, &pushed);
            scope.spawn(move || {
                start.wait();
                work(&mut server.client(), number, large, pushed);
            });
        }
    });
    let digests: BTreeSet<String> = pushed
        .lock()
        .expect("no panic")
        .iter()
        .flat_map(|image: &Pushed| image.blobs.clone())
        .collect();
    let peak = memory(&server, "VmHWM") - memory(&server, "RssFile");
    let log = std::fs::metadata(server.directory().join("registry.db-wal"))
        .expect("a log")
        .len();
    println!(
        "peak {peak} KiB, {} blobs, a log of {} KiB",
        digests.len(),
        log >> 10
    );
    assert_eq!(server.blob_files().len(), digests.len(), "files of blobs");
    assert!(
        server.upload_files().is_empty(),
        "{:?}",
        server.upload_files()
    );
    assert!(peak < PEAK, "{peak} KiB at the peak");
    assert!(log < 64 << 20, "a log of {log} bytes");
    crate::crash::audit::check_cleared(server.directory());
}

/// A pushed image: its repository, manifest, and blob digests.
#[derive(Clone)]
struct Pushed {
    repository: String,
    manifest: Vec<u8>,
    blobs: Vec<String>,
}

/// One client's work: its images, each with a large shared layer, and a pull of another image after
/// each.
fn work(client: &mut Client, number: usize, large: &[Layer], pushed: &Mutex<Vec<Pushed>>) {
    let repository = format!("load/r{}", number % 5);
    for round in 0..IMAGES {
        let shared = &large[(number + round) % LARGE_LAYERS];
        let common = noise(round as u64 + 100, 30_000);
        let own = noise((number * IMAGES + round) as u64 + 1000, 10_000);
        let image = Image::new(
            &format!("{number}.{round}"),
            vec![shared.0.clone(), common, own],
        );
        let blobs = image
            .layers
            .iter()
            .chain([&image.config])
            .map(|blob| push(client, &repository, blob, number + round))
            .collect();
        let response = client.put_manifest(
            &repository,
            &format!("c{number}.{round}"),
            OCI_MANIFEST,
            &image.manifest,
        );
        assert_eq!(response.status, 201, "{response:?}");
        let any = {
            let mut pushed = pushed.lock().expect("no panic");
            pushed.push(Pushed {
                repository: repository.clone(),
                manifest: image.manifest,
                blobs,
            });
            pushed[(number * 7 + round) % pushed.len()].clone()
        };
        pull(client, &any);
    }
}

/// Pushes a blob in one of several ways; returns its digest.
fn push(client: &mut Client, repository: &str, content: &[u8], way: usize) -> String {
    let digest = sha256(content);
    let response = match way % 3 {
        0 => return client.push_blob(repository, content),
        1 => client
            .request(
                "POST",
                &format!("/v2/{repository}/blobs/uploads/?digest={digest}"),
            )
            .body(content)
            .send(),
        _ => {
            let location = client.begin_upload(repository);
            let (first, second) = content.split_at(content.len() / 3);
            for chunk in [first, second] {
                assert_eq!(
                    client.request("PATCH", &location).body(chunk).send().status,
                    202
                );
            }
            client
                .request("PUT", &format!("{location}&digest={digest}"))
                .send()
        }
    };
    assert_eq!(response.status, 201, "{response:?}");
    digest
}

fn pull(client: &mut Client, image: &Pushed) {
    let manifest = client.get(&format!(
        "/v2/{}/manifests/{}",
        image.repository,
        sha256(&image.manifest)
    ));
    assert_eq!((manifest.status, &manifest.body), (200, &image.manifest));
    for digest in &image.blobs {
        let blob = client.get(&format!("/v2/{}/blobs/{digest}", image.repository));
        assert_eq!((blob.status, &sha256(&blob.body)), (200, digest));
    }
}
