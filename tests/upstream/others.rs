//! Content of others: an upstream cannot show it here by naming its digest.

use serde_json::json;

use super::adopt::{adopting, adopting_at, adoption};
use super::arriving::Reading;
use super::mirror::mirror_at;
use crate::support::hub::Hub;
use crate::support::{Image, Server, eventually, noise, sha256};

fn secret() -> Image {
    Image::new("secret", vec![noise(7, 5000)])
}

/// A data directory in which a team keeps an image to itself.
fn kept(image: &Image) -> Server {
    let mut server = Server::start();
    image.push(&mut server.client(), "team/secret", "1");
    assert!(server.stop().success());
    server
}

/// Asserts that the bytes of an image's layer do not come from a repository; a connection may break on the way.
fn hidden(server: &Server, repository: &str, image: &Image) {
    let blob = &image.layers[0];
    let path = format!("/v2/{repository}/blobs/{}", sha256(blob));
    let mut reading = Reading::get(server, &path, "");
    if reading.status == 404 {
        return;
    }
    let read = reading.read_rest(100_000);
    assert!(
        !read.windows(64).any(|part| part == &blob[..64]),
        "{path} shows it"
    );
}

/// An upstream that says of a digest that it has it must send it.
#[test]
fn an_upstream_proves_that_it_has_what_is_stored() {
    let (hub, secret) = (Hub::start(), secret());
    hub.add("library/portal", "1", &secret);
    // it has other bytes of the same size
    hub.behave(|behaviour| behaviour.alters_blobs = true);
    let kept = kept(&secret);
    let server = mirror_at(kept.directory(), &hub);
    hidden(&server, "hub/library/portal", &secret);
    let mut client = server.client();
    secret.assert_pulls(&mut client, "team/secret", "1");
    hub.behave(|behaviour| behaviour.alters_blobs = false);
    secret.assert_pulls(&mut client, "hub/library/portal", "1");
    // what it has sent once it need not send again
    hub.add("library/other", "1", &secret);
    hub.behave(|behaviour| behaviour.alters_blobs = true);
    secret.assert_pulls(&mut client, "hub/library/other", "1");
}

/// A manifest that names blobs of others brings nothing, though they are stored.
#[test]
fn an_adopted_registry_must_have_what_it_names() {
    let (hub, secret) = (Hub::start(), secret());
    hub.add("evil", "1", &secret);
    hub.change("evil", |held| held.blobs.clear());
    let kept = kept(&secret);
    let server = adopting_at(kept.directory(), &hub.url(), &json!({ "prefix": "ad" }));
    eventually("it is read", || {
        adoption(&server)["problemCount"].as_u64() > Some(0)
    });
    hidden(&server, "ad/evil", &secret);
    let percent = adoption(&server)["percent"].as_u64();
    assert!(percent.is_some_and(|percent| percent < 100), "{percent:?}");
}

/// Nothing may be lost with the old registry: an empty list may be that of a login that sees nothing.
#[test]
fn a_registry_that_lists_nothing_is_not_adopted_completely() {
    let hub = Hub::start();
    let server = adopting(&hub.url(), &json!({}));
    eventually("it says so", || {
        let failure = adoption(&server)["failure"].to_string();
        failure.contains("lists no repository")
    });
    let percent = adoption(&server)["percent"].as_u64();
    assert!(percent.is_some_and(|percent| percent < 100), "{percent:?}");
    hub.add("team/app", "1", &Image::small(1));
    eventually("it goes on", || adoption(&server)["percent"] == 100);
}

/// Names that this registry cannot have are listed, and are no part of "everything".
#[test]
fn what_has_no_name_here_is_listed() {
    let hub = Hub::start();
    hub.add("team/app", "1", &Image::small(1));
    hub.add("UPPER/case", "1", &Image::small(2));
    let server = adopting(&hub.url(), &json!({}));
    eventually("the rest is here", || {
        adoption(&server)["wholeRepositoryCount"] == 1
    });
    let found = adoption(&server);
    let percent = found["percent"].as_u64();
    assert!(percent.is_some_and(|percent| percent < 100), "{found}");
    assert!(
        found["problems"].to_string().contains("UPPER/case"),
        "{found}"
    );
}
