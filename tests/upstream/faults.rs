//! Every fault of an upstream, without and with the content here: no client ever gets wrong bytes.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::mirror::{hub, mirror};
use crate::support::hub::{Hub, Part};
use crate::support::{Image, Server, eventually, sha256};

/// Outcome of a client's request for a blob that is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Whole,
    /// A connection that breaks, or never a whole body.
    Break,
    Refusal(u16),
}

/// A fault, and what clients get for it.
type Fault = (&'static str, fn(&Hub), Outcome);

const FAULTS: &[Fault] = &[
    (
        "no answer to anything",
        |hub| hub.behave(|it| it.is_down = true),
        Outcome::Refusal(502),
    ),
    (
        "reset before the first byte",
        |hub| hub.behave(|it| it.resets = [0].into()),
        Outcome::Whole,
    ),
    (
        "reset after the first byte",
        |hub| hub.behave(|it| it.resets = [1].into()),
        Outcome::Whole,
    ),
    (
        "reset in the middle, again and again",
        |hub| hub.behave(|it| it.resets = [70_000, 70_000, 70_000].into()),
        Outcome::Whole,
    ),
    (
        "reset at the last byte",
        |hub| hub.behave(|it| it.resets = [299_999].into()),
        Outcome::Whole,
    ),
    (
        "reset, and it knows no ranges",
        |hub| {
            hub.behave(|it| {
                it.resets = [100_000].into();
                it.knows_ranges = false;
            });
        },
        Outcome::Whole,
    ),
    (
        "stall before the first byte",
        |hub| hub.behave(|it| it.stall = Some(0)),
        Outcome::Whole,
    ),
    (
        "stall after the first byte",
        |hub| hub.behave(|it| it.stall = Some(1000)),
        Outcome::Whole,
    ),
    (
        "wrong digest",
        |hub| hub.behave(|it| it.alters_blobs = true),
        Outcome::Break,
    ),
    (
        "wrong digest, without a length",
        |hub| {
            hub.behave(|it| {
                it.alters_blobs = true;
                it.sends_chunks = true;
            });
        },
        Outcome::Break,
    ),
    (
        "wrong length",
        |hub| hub.behave(|it| it.too_long = 10),
        Outcome::Break,
    ),
    (
        "429",
        |hub| hub.behave(|it| it.statuses = [(429, "")].into()),
        Outcome::Refusal(429),
    ),
    (
        "500",
        |hub| hub.behave(|it| it.statuses = [(500, "")].into()),
        Outcome::Refusal(502),
    ),
    (
        "401 with a foreign realm",
        |hub| hub.reserve("library/redis", "ci", "secret"),
        Outcome::Refusal(404),
    ),
    (
        "the token ends in the middle",
        |hub| {
            hub.behave(|it| {
                it.resets = [100_000].into();
                it.ends_tokens_at_reset = true;
            });
        },
        Outcome::Whole,
    ),
    (
        "404",
        |hub| {
            hub.change("library/redis", |held| {
                held.tags.clear();
                held.manifests.clear();
                held.blobs.clear();
            });
        },
        Outcome::Refusal(404),
    ),
];

/// A mirror that asks about tags each time, and is not patient.
fn impatient(hub: &Hub) -> Server {
    mirror(hub, &keys())
}

fn keys() -> Value {
    json!({ "fresh": "0s", "timeout": "300ms", "username": "ci", "password": "secret" })
}

fn ask(server: &Server, layer: &[u8]) -> Outcome {
    let path = format!("/v2/hub/library/redis/blobs/{}", sha256(layer));
    let url = format!("http://{}{path}", server.address());
    let answer = match ureq::get(url).call() {
        Ok(answer) => answer,
        Err(ureq::Error::StatusCode(status)) => return Outcome::Refusal(status),
        Err(error) => panic!("{error}"),
    };
    match answer.into_body().read_to_vec() {
        Ok(body) => {
            assert!(body == layer, "a whole body is the right one");
            Outcome::Whole
        }
        Err(_) => Outcome::Break,
    }
}

#[test]
fn without_the_content_here_no_client_gets_wrong_bytes() {
    for (name, set, expected) in FAULTS {
        let (hub, image) = hub();
        let server = impatient(&hub);
        set(&hub);
        assert_eq!(ask(&server, &image.layers[0]), *expected, "{name}");
        let stored = usize::from(*expected == Outcome::Whole);
        eventually(name, || server.upload_files().is_empty());
        assert_eq!(server.blob_files().len(), stored, "{name}");
        let tokens = hub.seen_by(Part::Tokens);
        let told = tokens
            .iter()
            .filter(|seen| seen.header("authorization").is_some());
        assert_eq!(told.count(), 0, "the realm is not listed: {name}");
    }
}

#[test]
fn with_the_content_here_everything_is_served() {
    for (name, set, _) in FAULTS {
        let (hub, image) = hub();
        let server = impatient(&hub);
        let mut client = server.client();
        image.assert_pulls(&mut client, "hub/library/redis", "7");
        set(&hub);
        image.assert_pulls(&mut client, "hub/library/redis", "7");
        assert_eq!(ask(&server, &image.layers[0]), Outcome::Whole, "{name}");
    }
}

/// Nobody listens at the upstream's address when the server starts, with content here and without.
#[test]
fn an_upstream_that_is_down_at_the_start_takes_nothing_away() {
    let (hub, image) = hub();
    let directory = tempfile::TempDir::new().expect("a directory");
    let data: PathBuf = directory.path().join("data");
    let start = |url: &str| {
        let section = json!([{ "prefix": "hub", "ns": "docker.io", "url": url, "fresh": "0s" }]);
        Server::at(&data, &[("REGISTRY_UPSTREAMS", &section.to_string())])
    };
    let up = start(&hub.url());
    image.assert_pulls(&mut up.client(), "hub/library/redis", "7");
    // a client has a blob a moment before it is stored, but nobody is asked about what is
    let blobs = image.layers.iter().chain([&image.config]);
    let paths = blobs.map(|blob| format!("/v2/hub/library/redis/blobs/{}", sha256(blob)));
    let paths: Vec<_> = paths.collect();
    eventually("it is stored", || {
        hub.seen();
        let mut client = up.client();
        paths
            .iter()
            .for_each(|path| assert_eq!(client.head(path).status, 200));
        hub.seen().is_empty()
    });
    drop(up);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = closed.local_addr().expect("an address");
    drop(closed);
    let down = start(&format!("http://{address}"));
    let mut client = down.client();
    image.assert_pulls(&mut client, "hub/library/redis", "7");
    let warned = client.get("/v2/hub/library/redis/manifests/7");
    assert!(warned.header("warning").is_some());
    let other = Image::small(5);
    client
        .get("/v2/hub/library/redis/manifests/8")
        .refused(502, "UNAVAILABLE");
    assert_eq!(ask(&down, &other.layers[0]), Outcome::Refusal(502));
}
