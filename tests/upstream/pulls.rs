//! Pulls without trouble: tokens from elsewhere, `library/`, redirected blobs, quotas.

use std::time::Duration;

use tarkeep::upstream::{ManifestHead, Quota};

use super::{digest, fetch, name, run, settings, upstream};
use crate::support::hub::{Hub, Part};
use crate::support::{Image, sha256};

#[test]
fn an_image_is_pulled_with_one_token() {
    let hub = Hub::start();
    let image = Image::small(1);
    hub.add("library/redis", "7", &image);
    let upstream = upstream(&settings(&hub));
    run(async {
        let manifest = upstream
            .manifest(&name("redis"), "7")
            .await
            .expect("a manifest");
        assert_eq!(manifest, image.manifest);
        for blob in image.layers.iter().chain([&image.config]) {
            let fetched = fetch(&upstream, "redis", &sha256(blob)).await;
            assert_eq!(fetched.as_ref(), Ok(blob));
        }
    });
    let quota = Quota {
        limit: Some(100),
        remaining: Some(99),
        period: Some(Duration::from_secs(21_600)),
    };
    assert_eq!(upstream.quota(), Some(quota));
    let seen = hub.seen();
    let of = |part: Part| seen.iter().filter(move |seen| seen.part == part);
    assert_eq!(of(Part::Tokens).count(), 1);
    assert!(of(Part::Registry).all(|seen| seen.path.starts_with("/v2/library/redis/")));
    assert!(
        of(Part::Registry).all(|seen| seen.connection == 0),
        "one connection"
    );
    assert_eq!(of(Part::Store).count(), 2);
}

/// The store of the blobs refuses it, as stores with signed addresses do.
#[test]
fn a_login_goes_to_no_other_host() {
    let hub = Hub::start();
    let image = Image::small(2);
    hub.add("a/b", "v1", &image);
    let upstream = upstream(&settings(&hub));
    let fetched = run(fetch(&upstream, "a/b", &sha256(&image.layers[0])));
    assert_eq!(fetched.as_ref(), Ok(&image.layers[0]));
    let stored = hub.seen_by(Part::Store);
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].header("authorization"), None);
}

#[test]
fn a_tag_is_asked_for_without_fetching_it() {
    let hub = Hub::start();
    let (old, new) = (Image::small(3), Image::small(4));
    hub.add("a/b", "v1", &old);
    let upstream = upstream(&settings(&hub));
    let (old, new_digest) = (digest(&old.digest()), digest(&new.digest()));
    run(async {
        let head = upstream.head_manifest(&name("a/b"), "v1", None).await;
        assert_eq!(
            head,
            Ok(ManifestHead::Found {
                digest: Some(old.clone())
            })
        );
        let head = upstream.head_manifest(&name("a/b"), "v1", Some(&old)).await;
        assert_eq!(head, Ok(ManifestHead::Unchanged));
        hub.add("a/b", "v1", &new);
        let head = upstream.head_manifest(&name("a/b"), "v1", Some(&old)).await;
        assert_eq!(
            head,
            Ok(ManifestHead::Found {
                digest: Some(new_digest)
            })
        );
    });
    assert!(
        hub.seen_by(Part::Registry)
            .iter()
            .all(|seen| seen.method == "HEAD")
    );
}

#[test]
fn five_redirects_are_followed_and_no_more() {
    let hub = Hub::start();
    let image = Image::small(5);
    hub.add("a/b", "v1", &image);
    let upstream = upstream(&settings(&hub));
    for (hops, is_followed) in [(4, true), (5, false)] {
        // the last one leads to the store
        hub.behave(|behaviour| behaviour.hops = hops);
        let fetched = run(fetch(&upstream, "a/b", &sha256(&image.layers[0])));
        assert_eq!(fetched.is_ok(), is_followed, "{hops}: {fetched:?}");
    }
}
