//! Group commit: changes committed together succeed or fail independently.

use std::path::Path;
use std::sync::Barrier;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::json;

use crate::support::{Image, OCI_MANIFEST, Response, Server, noise, sha256};

/// More changes than fit into one commit.
const CLIENTS: usize = 300;

/// Holds the database's write lock, as another process may, so that changes queue.
struct Locked(Connection);

impl Locked {
    fn new(root: &Path) -> Self {
        let connection = Connection::open(root.join("registry.db")).expect("a database");
        connection
            .busy_timeout(Duration::from_secs(10))
            .expect("a timeout");
        connection
            .execute_batch("BEGIN IMMEDIATE")
            .expect("the lock");
        Self(connection)
    }

    fn release(self) {
        self.0.execute_batch("COMMIT").expect("nothing to commit");
    }
}

/// Counts commits in the log since its last restart: frames with a database size.
fn commits(root: &Path) -> usize {
    let log = std::fs::read(root.join("registry.db-wal")).expect("a log");
    let page = u32::from_be_bytes(log[8..12].try_into().expect("four bytes")) as usize;
    let salt = &log[16..24];
    log[32..]
        .chunks_exact(24 + page)
        .take_while(|frame| &frame[8..16] == salt)
        .filter(|frame| frame[4..8] != [0; 4])
        .count()
}

#[test]
fn a_failed_manifest_push_does_not_affect_its_batch() {
    let server = Server::start();
    let mut client = server.client();
    let layer = client.push_blob("batch", &noise(1, 1000));
    let config = client.push_blob("batch", b"{}");
    let before = commits(server.directory());
    let lock = Locked::new(server.directory());
    let sent = Barrier::new(CLIENTS + 1);
    let answers: Vec<(usize, Response)> = std::thread::scope(|scope| {
        let send = |number| {
            let (server, sent, layer, config) = (&server, &sent, &layer, &config);
            move || {
                let mut client = server.client();
                // the connection is established and the server is running
                assert_eq!(client.get("/v2/").status, 200);
                sent.wait();
                (
                    number,
                    client.put_manifest(
                        "batch",
                        &format!("t{number}"),
                        OCI_MANIFEST,
                        &manifest(number, layer, config),
                    ),
                )
            }
        };
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| scope.spawn(send(number)))
            .collect();
        sent.wait();
        // readers do not wait for the lock; once these are answered, most changes are queued
        (0..CLIENTS).for_each(|_| assert_eq!(client.get("/v2/batch/manifests/none").status, 404));
        lock.release();
        clients
            .into_iter()
            .map(|client| client.join().expect("an answer"))
            .collect()
    });
    let commits = commits(server.directory()) - before;
    println!("{CLIENTS} changes in {commits} commits");
    assert!(
        commits < CLIENTS / 4,
        "{CLIENTS} changes in {commits} commits"
    );
    for (number, answer) in answers {
        let found = client.get(&format!("/v2/batch/manifests/t{number}"));
        if is_valid(number) {
            assert_eq!(
                (answer.status, found.status),
                (201, 200),
                "{number}: {answer:?}"
            );
            assert_eq!(found.body, manifest(number, &layer, &config));
        } else {
            answer.refused(400, "MANIFEST_BLOB_UNKNOWN");
            assert_eq!(found.status, 404, "{number} was refused");
        }
    }
    crate::crash::audit::check_cleared(server.directory());
}

fn is_valid(number: usize) -> bool {
    number % 3 != 1
}

/// A manifest whose second layer is missing unless it is valid; what precedes it is already written
/// by then.
fn manifest(number: usize, layer: &str, config: &str) -> Vec<u8> {
    let descriptor = |digest: &str, size| json!({ "mediaType": "application/octet-stream", "digest": digest, "size": size });
    let mut layers = vec![descriptor(layer, 1000)];
    if !is_valid(number) {
        layers.push(descriptor(&sha256(&number.to_be_bytes()), 8));
    }
    let annotations = json!({ "number": number.to_string() });
    json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(config, 2), "layers": layers, "annotations": annotations })
        .to_string()
        .into_bytes()
}

#[test]
fn a_failed_blob_push_does_not_affect_its_batch() {
    let server = Server::start();
    let sent = Barrier::new(60);
    std::thread::scope(|scope| {
        for number in 0..60_usize {
            let (server, sent) = (&server, &sent);
            scope.spawn(move || {
                let mut client = server.client();
                let image = Image::small(number as u64);
                let wrong = number % 3 == 1;
                let digest = if wrong {
                    sha256(b"something else")
                } else {
                    sha256(&image.layers[0])
                };
                let location = client.begin_upload("batch");
                sent.wait();
                let response = client
                    .request("PUT", &format!("{location}&digest={digest}"))
                    .body(&image.layers[0])
                    .send();
                let found = client.get(&format!("/v2/batch/blobs/{digest}"));
                let expected = if wrong { (400, 404) } else { (201, 200) };
                assert_eq!(
                    (response.status, found.status),
                    expected,
                    "{number}: {response:?}"
                );
            });
        }
    });
    assert_eq!(server.blob_files().len(), 40);
    assert!(server.upload_files().is_empty());
}
