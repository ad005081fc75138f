//! Clients that do the same thing at the same time.

use std::sync::Barrier;

use super::{Wire, digest_of, image, index, pointer, push, push_image};
use crate::support::{Image, OCI_MANIFEST, Server, eventually, noise, sha256};

/// Runs `work` on several threads that start at the same moment; returns their results.
pub(super) fn at_once<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let start = |number| {
            let (barrier, work) = (&barrier, &work);
            scope.spawn(move || {
                barrier.wait();
                work(number)
            })
        };
        let running: Vec<_> = (0..threads).map(start).collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    })
}

#[test]
fn a_blob_pushed_by_many_clients_is_stored_once() {
    let server = Server::start();
    for (seed, size) in (1..).zip([0, 1000, 100_000, 4 << 20]) {
        let content = noise(seed, size);
        let digest = sha256(&content);
        let statuses = at_once(6, |number| {
            let mut client = server.client();
            let repository = format!("r{}", number % 2);
            if number < 3 {
                let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
                client.request("POST", &path).body(&content).send().status
            } else {
                let location = client.begin_upload(&repository);
                client
                    .request("PUT", &format!("{location}&digest={digest}"))
                    .body(&content)
                    .send()
                    .status
            }
        });
        assert_eq!(statuses, [201; 6]);
        for repository in ["r0", "r1"] {
            assert!(
                server
                    .client()
                    .get(&format!("/v2/{repository}/blobs/{digest}"))
                    .body
                    == content
            );
        }
        assert_eq!(server.blob_files().len() as u64, seed);
    }
    eventually("no upload is left", || server.upload_files().is_empty());
}

#[test]
fn an_image_pushed_by_many_clients_is_stored_once() {
    let server = Server::start();
    let image = Image::new("shared", vec![noise(1, 50_000), noise(2, 80_000)]);
    at_once(6, |number| {
        image.push(&mut server.client(), "app", &format!("v{}", number % 2))
    });
    for tag in ["v0", "v1"] {
        image.assert_pulls(&mut server.client(), "app", tag);
    }
    assert_eq!(server.blob_files().len(), 3);
}

#[test]
fn of_two_clients_on_one_session_one_is_refused() {
    let server = Server::start();
    let mut client = server.client();
    let location = client.begin_upload("a");
    let mut wire = Wire::open(&server);
    wire.send(format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\nContent-Range: 0-7\r\n\r\nfour"));
    eventually("the first holds the session", || {
        server.upload_length(&location) == 4
    });
    // the second waits for a while, in case the first is dead, before it is refused
    let refusal = client
        .request("PATCH", &location)
        .header("Content-Range", "0-3")
        .body(b"late")
        .send();
    refusal.refused(409, "BLOB_UPLOAD_INVALID");
    wire.send("more");
    assert_eq!(wire.answer().status, 202);
    let late = client
        .request("PATCH", &location)
        .header("Content-Range", "0-3")
        .body(b"late")
        .send();
    late.refused(416, "RANGE_INVALID");
    let finished = client
        .request("PUT", &format!("{location}&digest={}", sha256(b"fourmore")))
        .send();
    assert_eq!(finished.status, 201);
}

/// Closed or cancelled, never both; the second of two equal closing PUTs repeats the first one.
#[test]
fn a_session_ends_once() {
    let server = Server::start();
    for round in 0..5_u8 {
        let content = noise(u64::from(round), 10_000);
        let location = server.client().begin_upload("a");
        assert_eq!(
            server
                .client()
                .request("PATCH", &location)
                .body(&content)
                .send()
                .status,
            202
        );
        let path = format!("{location}&digest={}", sha256(&content));
        let mut statuses = at_once(3, |number| match number {
            0 | 1 => server.client().request("PUT", &path).send().status,
            _ => server.client().delete(&location).status,
        });
        statuses.sort_unstable();
        assert!(
            matches!(statuses[..], [201, 201, 404] | [204, 404, 404]),
            "{statuses:?}"
        );
        let stored = server
            .client()
            .head(&format!("/v2/a/blobs/{}", sha256(&content)))
            .status;
        assert_eq!(stored == 200, statuses[0] == 201);
    }
    assert!(server.upload_files().is_empty());
}

/// Of a push and a simultaneous deletion of content that it needs, one must fail.
#[test]
fn a_push_and_a_deletion_of_its_content_never_both_succeed() {
    let server = Server::start();
    for round in 0..20_u8 {
        let mut client = server.client();
        let layer = noise(u64::from(round), 100);
        client.push_blob("a", b"{}");
        let digest = client.push_blob("a", &layer);
        let manifest = image(b"{}", &[&layer]);
        let child = push_image(&mut client, "a", "child", &round.to_string());
        let parent = index(&[pointer(&child)]);
        let statuses = at_once(4, |number| {
            let mut client = server.client();
            let body = |manifest: &serde_json::Value| manifest.to_string().into_bytes();
            match number {
                0 => {
                    client
                        .put_manifest("a", &format!("m{round}"), OCI_MANIFEST, &body(&manifest))
                        .status
                }
                1 => client.delete(&format!("/v2/a/blobs/{digest}")).status,
                2 => super::put(&mut client, "a", &format!("i{round}"), &parent).status,
                _ => {
                    client
                        .delete(&format!("/v2/a/manifests/{}", digest_of(&child)))
                        .status
                }
            }
        });
        for pair in [&statuses[..2], &statuses[2..]] {
            assert!(
                matches!(pair, [201, 405] | [400, 202]),
                "round {round}: {statuses:?}"
            );
        }
        let there =
            |client: &mut crate::support::Client, path: String| client.head(&path).status == 200;
        assert_eq!(
            there(&mut client, format!("/v2/a/blobs/{digest}")),
            statuses[0] == 201
        );
        assert_eq!(
            there(
                &mut client,
                format!("/v2/a/manifests/{}", digest_of(&child))
            ),
            statuses[2] == 201
        );
        assert_eq!(
            there(&mut client, format!("/v2/a/manifests/m{round}")),
            statuses[0] == 201
        );
        assert!(push(&mut client, "a", "any", &index(&[])).starts_with("sha256:"));
    }
}
