//! Lists of tags, repositories and referrers.

use serde_json::json;
use tarkeep::upstream::Error;

use super::{digest, name, run, settings, upstream};
use crate::support::hub::{Hub, Part};
use crate::support::{Image, OCI_MANIFEST, descriptor, sha256};

fn hub_with_tags() -> Hub {
    let hub = Hub::start();
    hub.behave(|behaviour| behaviour.page = 2);
    for tag in ["a", "b", "c", "d", "e"] {
        hub.add("a/b", tag, &Image::small(1));
    }
    hub
}

#[test]
fn lists_are_read_page_after_page() {
    let hub = hub_with_tags();
    for repository in ["c", "d/e"] {
        hub.add(repository, "v1", &Image::small(2));
    }
    let client = upstream(&settings(&hub));
    let tags = run(client.tags(&name("a/b"))).expect("tags");
    assert_eq!(
        tags.into_iter().collect::<Vec<_>>(),
        ["a", "b", "c", "d", "e"]
    );
    assert_eq!(
        hub.seen_by(Part::Registry).len(),
        4,
        "a challenge, and three pages"
    );
    let repositories = run(client.repositories()).expect("repositories");
    assert_eq!(
        repositories.into_iter().collect::<Vec<_>>(),
        ["a/b", "c", "d/e"]
    );
}

#[test]
fn the_next_page_is_on_the_same_server() {
    let hub = hub_with_tags();
    let store = format!("http://127.0.0.1:{}", hub.ports.store);
    hub.behave(|behaviour| behaviour.next_page_at = Some(store));
    let listed = run(upstream(&settings(&hub)).tags(&name("a/b")));
    assert!(matches!(listed, Err(Error::Broken(_))), "{listed:?}");
    assert!(hub.seen_by(Part::Store).is_empty());
}

#[test]
fn referrers_are_listed_where_they_are_known() {
    let hub = Hub::start();
    let image = Image::small(3);
    hub.add("a/b", "v1", &image);
    let signature = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [],
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "subject": descriptor(OCI_MANIFEST, &image.manifest),
    });
    let signature = signature.to_string().into_bytes();
    hub.add_manifest("a/b", None, OCI_MANIFEST, &signature);
    let client = upstream(&settings(&hub));
    let subject = digest(&image.digest());
    let found = run(client.referrers(&name("a/b"), &subject))
        .expect("a list")
        .expect("one");
    let digests: Vec<_> = found.into_iter().map(|found| found.digest).collect();
    assert_eq!(digests, [sha256(&signature)]);
    hub.behave(|behaviour| behaviour.knows_referrers = false);
    let none = run(client.referrers(&name("a/b"), &subject)).expect("an answer");
    assert!(none.is_none());
}
