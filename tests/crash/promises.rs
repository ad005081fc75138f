//! Requests everything ever acknowledged, and everything visible, from a restarted server.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::audit::references_of;
use super::ledger::{Ledger, Reference};
use crate::support::{Client, OCI_INDEX, OCI_MANIFEST, Response, sha256};

/// Number of parallel connections.
const PULLERS: usize = 3;

/// Asserts that acknowledged content, and each manifest `seen` in the database, can be pulled
/// whole, and that tags and sessions are where their last change left them.
pub fn check(address: &str, ledger: &Ledger, seen: &BTreeSet<Reference>) {
    let (manifests, blobs) = {
        let state = ledger.state();
        let missing: Vec<_> = state.manifests.difference(seen).collect();
        assert!(
            missing.is_empty(),
            "acknowledged, and not in the database: {missing:?}"
        );
        (seen.clone(), state.blobs.clone())
    };
    let blobs = Mutex::new(blobs);
    in_parallel(address, manifests, |client, (repository, digest)| {
        let references = pull_manifest(client, repository, digest);
        blobs.lock().expect("no panic").extend(
            references
                .into_iter()
                .map(|digest| (repository.clone(), digest)),
        );
    });
    in_parallel(
        address,
        blobs.into_inner().expect("no panic"),
        |client, (repository, digest)| {
            let response = client.get(&format!("/v2/{repository}/blobs/{digest}"));
            assert_eq!(
                (response.status, sha256(&response.body)),
                (200, digest.clone()),
                "a blob of {repository}"
            );
        },
    );
    check_tags(&mut Client::new(address), ledger, seen);
}

/// Returns the blobs that it needs; asserts that children of an index exist.
fn pull_manifest(client: &mut Client, repository: &str, digest: &str) -> BTreeSet<String> {
    let response = client.get(&format!("/v2/{repository}/manifests/{digest}"));
    assert_eq!(
        (response.status, sha256(&response.body)),
        (200, digest.to_owned()),
        "a manifest of {repository}"
    );
    let references = references_of(&response.body);
    match response.header("content-type").expect("a media type") {
        OCI_MANIFEST => references,
        OCI_INDEX => {
            for child in references {
                let response = client.head(&format!("/v2/{repository}/manifests/{child}"));
                assert_eq!(
                    response.status, 200,
                    "{child}, which the index {digest} of {repository} needs"
                );
            }
            BTreeSet::new()
        }
        other => panic!("{digest} came back as {other}"),
    }
}

fn check_tags(client: &mut Client, ledger: &Ledger, seen: &BTreeSet<Reference>) {
    let places: Vec<Reference> = ledger.state().tags.keys().cloned().collect();
    for place in places {
        let (repository, tag) = &place;
        let response = client.get(&format!("/v2/{repository}/manifests/{tag}"));
        let found = match response.status {
            200 => Some(sha256(&response.body)),
            404 => None,
            _ => panic!("{response:?}"),
        };
        if let Some(digest) = &found {
            assert!(
                seen.contains(&(repository.clone(), digest.clone())),
                "{place:?} points at {digest}, which is not there"
            );
        }
        ledger.settle_tag(&place, found);
    }
}

/// Asserts that open sessions kept acknowledged bytes, and finishes those selected by `which`.
///
/// A session whose last request was interrupted may be finished or resumable, but not lost.
pub fn check_sessions(address: &str, ledger: &Ledger, mut which: impl FnMut() -> bool) {
    let client = &mut Client::new(address);
    let open = std::mem::take(&mut ledger.state().uploads);
    for (path, upload) in open {
        let digest = sha256(&upload.content);
        let status = client.get(&path);
        if status.status == 404 && upload.is_finishing {
            let blob = client.get(&format!("/v2/{}/blobs/{digest}", upload.repository));
            assert_eq!(
                (blob.status, sha256(&blob.body)),
                (200, digest),
                "neither blob nor session: {path}"
            );
            ledger.blob_acknowledged(&upload.repository, &sha256(&upload.content));
            continue;
        }
        assert_eq!(status.status, 204, "{path}: {status:?}");
        let received = received(&status, upload.acknowledged);
        assert!(
            (upload.acknowledged..=upload.sent).contains(&received),
            "{path}: {received} of {}..={}",
            upload.acknowledged,
            upload.sent
        );
        if !which() {
            ledger.state().uploads.insert(path, upload);
            continue;
        }
        let response = client
            .request("PUT", &format!("{path}&digest={digest}"))
            .body(&upload.content[received..])
            .send();
        assert_eq!(
            response.status, 201,
            "{path} after {received} bytes, of which {} were promised: {response:?}",
            upload.acknowledged
        );
        ledger.blob_acknowledged(&upload.repository, &digest);
    }
}

/// Bytes received according to the session's status. A range cannot distinguish zero from one.
fn received(status: &Response, acknowledged: usize) -> usize {
    let last = status
        .header("range")
        .and_then(|range| range.strip_prefix("0-")?.parse::<usize>().ok())
        .expect("a range");
    if last == 0 {
        acknowledged.min(1)
    } else {
        last + 1
    }
}

/// Processes all items over several connections.
fn in_parallel<T: Send>(
    address: &str,
    items: impl IntoIterator<Item = T>,
    work: impl Fn(&mut Client, &T) + Sync,
) {
    let queue = Mutex::new(items.into_iter().collect::<Vec<_>>());
    std::thread::scope(|scope| {
        for _ in 0..PULLERS {
            scope.spawn(|| {
                let client = &mut Client::new(address);
                loop {
                    let next = queue.lock().expect("no panic").pop();
                    let Some(item) = next else { break };
                    work(client, &item);
                }
            });
        }
    });
}
