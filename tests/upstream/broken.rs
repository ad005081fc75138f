//! Blobs over connections that break.

use tarkeep::upstream::Error;

use super::{fetch, run, settings, upstream};
use crate::support::hub::{Hub, Part};
use crate::support::{Image, noise, sha256};

/// A registry with one layer of 300,000 bytes.
fn hub() -> (Hub, Vec<u8>) {
    let hub = Hub::start();
    let layer = noise(7, 300_000);
    hub.add("a/b", "v1", &Image::new("broken", vec![layer.clone()]));
    (hub, layer)
}

#[test]
fn a_broken_fetch_goes_on_where_it_was() {
    let (hub, layer) = hub();
    hub.behave(|behaviour| behaviour.resets = [0, 100_000, 1, 70_000].into());
    let client = upstream(&settings(&hub));
    let fetched = run(fetch(&client, "a/b", &sha256(&layer)));
    assert!(fetched.as_ref() == Ok(&layer));
    let seen = hub.seen_by(Part::Store);
    let ranges: Vec<_> = seen.iter().map(|seen| seen.header("range")).collect();
    assert_eq!(
        ranges,
        [
            None,
            None,
            Some("bytes=100000-"),
            Some("bytes=100001-"),
            Some("bytes=170001-")
        ]
    );
}

#[test]
fn a_server_without_ranges_is_read_again_from_the_start() {
    let (hub, layer) = hub();
    hub.behave(|behaviour| {
        behaviour.knows_ranges = false;
        behaviour.resets = [100_000, 50_000].into();
    });
    let client = upstream(&settings(&hub));
    let fetched = run(fetch(&client, "a/b", &sha256(&layer)));
    assert!(fetched.as_ref() == Ok(&layer));
}

#[test]
fn a_token_may_end_in_the_middle() {
    let (hub, layer) = hub();
    hub.behave(|behaviour| {
        behaviour.resets = [100_000].into();
        behaviour.ends_tokens_at_reset = true;
    });
    let client = upstream(&settings(&hub));
    let fetched = run(fetch(&client, "a/b", &sha256(&layer)));
    assert!(fetched.as_ref() == Ok(&layer));
    assert_eq!(hub.seen_by(Part::Tokens).len(), 2);
}

#[test]
fn a_fetch_that_stalls_goes_on() {
    for bytes in [0, 100_000] {
        let (hub, layer) = hub();
        hub.behave(|behaviour| behaviour.stall = Some(bytes));
        let client = upstream(&settings(&hub));
        let fetched = run(fetch(&client, "a/b", &sha256(&layer)));
        assert!(fetched.as_ref() == Ok(&layer), "{bytes}");
    }
}

#[test]
fn a_fetch_that_breaks_again_and_again_fails() {
    let (hub, layer) = hub();
    hub.behave(|behaviour| behaviour.resets = [100; 20].into());
    let client = upstream(&settings(&hub));
    let fetched = run(fetch(&client, "a/b", &sha256(&layer)));
    assert!(matches!(fetched, Err(Error::Unreachable(_))));
    assert!(hub.seen_by(Part::Store).len() < 10);
}

#[test]
fn a_wrong_length_is_no_end() {
    let (hub, layer) = hub();
    hub.behave(|behaviour| behaviour.too_long = 10);
    let client = upstream(&settings(&hub));
    let fetched = run(fetch(&client, "a/b", &sha256(&layer)));
    assert!(fetched.is_err());
}
