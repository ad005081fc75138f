//! SQLite reuses row ids: a job that spans several transactions must not act on another job's row.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::Thread;
use std::time::Duration;

use tarkeep::oci::RepositoryName;
use tarkeep::registry::{Actor, Registry, RegistrySettings};

use crate::support::{Client, Image, OCI_MANIFEST, Server};

/// Nothing is kept, and collection runs only when the test starts it.
const AT_ONCE: [(&str, &str); 5] = [
    ("REGISTRY_GC_ENABLED", "false"),
    ("REGISTRY_GC_LEASE", "0s"),
    ("REGISTRY_GC_GRACE", "0s"),
    ("REGISTRY_GC_KEEPUNTAGGED", "0s"),
    ("REGISTRY_GC_HISTORY", "0s"),
];
/// More than one transaction deletes.
const MANIFESTS: usize = 60;

/// Wakes the thread that polls.
struct Waking(Thread);

impl Wake for Waking {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Pushes an image, and many manifests of it that differ in an annotation.
fn push_many(client: &mut Client, repository: &str) {
    let image = Image::small(1);
    image.push(client, repository, "latest");
    let mut manifest: serde_json::Value = serde_json::from_slice(&image.manifest).expect("JSON");
    for number in 1..MANIFESTS {
        manifest["annotations"] = serde_json::json!({ "number": number.to_string() });
        let response = client.put_manifest(
            repository,
            &format!("v{number}"),
            OCI_MANIFEST,
            manifest.to_string().as_bytes(),
        );
        assert_eq!(response.status, 201, "{response:?}");
    }
}

/// While a deletion pauses between two transactions, everything it deleted is collected and another
/// repository, or one of the same name, gets the same row ids.
#[test]
fn a_deletion_stays_within_its_own_repository() {
    for next in ["next", "old"] {
        let server = Server::with(&AT_ONCE);
        let client = &mut server.client();
        push_many(client, "old");
        let registry = Registry::open_existing(server.directory(), RegistrySettings::default())
            .expect("a registry");
        let name = RepositoryName::parse("old").expect("a name");
        let mut deletion = pin!(registry.repositories().delete(&name, Actor::default()));
        let waker = Arc::new(Waking(std::thread::current())).into();
        let mut context = Context::from_waker(&waker);
        let is_listed = |client: &mut Client| {
            !client.get("/v2/_catalog").json()["repositories"]
                .as_array()
                .expect("a list")
                .is_empty()
        };
        while is_listed(client) {
            assert!(
                deletion.as_mut().poll(&mut context).is_pending(),
                "the last change is not known to be the last"
            );
            std::thread::park_timeout(Duration::from_millis(20));
        }
        let swept = server.cli(&["gc"]);
        assert!(
            swept.status.success() && server.blob_files().is_empty(),
            "{swept:?}"
        );

        let images: Vec<_> = (10..13).map(Image::small).collect();
        for (image, tag) in images.iter().zip(["a", "b", "c"]) {
            image.push(client, next, tag);
        }
        let outcome = loop {
            match deletion.as_mut().poll(&mut context) {
                Poll::Ready(outcome) => break outcome,
                Poll::Pending => std::thread::park_timeout(Duration::from_millis(20)),
            }
        };
        outcome.expect("what was there is deleted");
        for (image, tag) in images.iter().zip(["a", "b", "c"]) {
            image.assert_pulls(client, next, tag);
        }
    }
}
