//! Mirrors: content of another registry, fetched when it is first asked for, and kept.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::hub::{Hub, Part};

use crate::support::{Image, OCI_MANIFEST, Server, eventually, noise, sha256};

pub const SEVEN: &str = "/v2/hub/library/redis/manifests/7";

/// Starts a mirror of a registry below `hub`, with more keys.
pub fn mirror(hub: &Hub, more: &Value) -> Server {
    mirror_of(&hub.url(), more)
}

fn mirror_of(url: &str, more: &Value) -> Server {
    let mut upstream = json!({ "prefix": "hub", "ns": "docker.io", "url": url });
    let more = more.as_object().cloned().unwrap_or_default();
    upstream.as_object_mut().expect("an object").extend(more);
    Server::with(&[("REGISTRY_UPSTREAMS", &json!([upstream]).to_string())])
}

/// Starts a mirror of a registry below `hub`, in a directory.
pub fn mirror_at(directory: &Path, hub: &Hub) -> Server {
    let upstreams = json!([{ "prefix": "hub", "url": hub.url() }]).to_string();
    Server::at(directory, &[("REGISTRY_UPSTREAMS", &upstreams)])
}

pub fn hub() -> (Hub, Image) {
    let hub = Hub::start();
    let image = Image::new("mirrored", vec![noise(1, 300_000), noise(2, 1000)]);
    hub.add("library/redis", "7", &image);
    (hub, image)
}

#[test]
fn what_was_pulled_once_is_here() {
    let (hub, image) = hub();
    let server = mirror(&hub, &json!({}));
    let mut client = server.client();
    image.assert_pulls(&mut client, "hub/library/redis", "7");
    assert!(!hub.seen().is_empty());
    image.assert_pulls(&mut client, "hub/library/redis", "7");
    image.assert_pulls(&mut client, "hub/library/redis", &image.digest());
    let blob = format!("/v2/hub/library/redis/blobs/{}", sha256(&image.layers[0]));
    let part = client
        .request("GET", &blob)
        .header("Range", "bytes=10-19")
        .send();
    assert_eq!((part.status, &*part.body), (206, &image.layers[0][10..20]));
    assert!(hub.seen().is_empty(), "nothing is asked twice");
    let tags = client.get("/v2/hub/library/redis/tags/list").json();
    assert_eq!(tags["tags"], json!(["7"]));
}

/// What clients did not ask for yet is no damage, and the command knows it from the server.
#[test]
fn images_that_are_not_whole_yet_are_not_named_by_a_verification() {
    let (hub, _) = hub();
    let server = mirror(&hub, &json!({}));
    assert_eq!(server.client().get(SEVEN).status, 200);
    let output = server.cli(&["verify"]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_damaged_manifest_is_fetched_again() {
    let (hub, image) = hub();
    let server = mirror(&hub, &json!({ "fresh": "0s" }));
    let mut client = server.client();
    image.assert_pulls(&mut client, "hub/library/redis", "7");
    let database = rusqlite::Connection::open(server.directory().join("registry.db"));
    let damaged = database.expect("a database").execute(
        "UPDATE manifest_bytes SET bytes = CAST('{}' AS BLOB) WHERE manifest_id = (SELECT id FROM manifests WHERE digest = ?1)",
        [image.digest()],
    );
    assert_eq!(damaged.expect("a change"), 1);
    let found = server.cli(&["verify"]);
    assert!(!found.status.success(), "{found:?}");
    hub.seen();
    image.assert_pulls(&mut client, "hub/library/redis", &image.digest());
    image.assert_pulls(&mut client, "hub/library/redis", "7");
    assert!(!hub.seen().is_empty());
    assert!(server.cli(&["verify"]).status.success());
}

/// As containerd looks up by `?ns=`; Docker Hub's short names work, too.
#[test]
fn a_namespace_leads_to_its_mirror_and_other_repositories_ask_nobody() {
    let (hub, image) = hub();
    let server = mirror(&hub, &json!({}));
    let mut client = server.client();
    let found = client.get("/v2/library/redis/manifests/7?ns=docker.io");
    assert_eq!((found.status, found.body), (200, image.manifest.clone()));
    let layer = &image.layers[0];
    let blob = format!("/v2/library/redis/blobs/{}?ns=docker.io", sha256(layer));
    assert_eq!(&client.get(&blob).body, layer);
    image.assert_pulls(&mut client, "hub/redis", "7");
    hub.seen();
    for (path, code) in [
        ("/v2/library/redis/manifests/7", "MANIFEST_UNKNOWN"),
        ("/v2/library/redis/manifests/7?ns=ghcr.io", "NAME_UNKNOWN"),
        ("/v2/hubs/redis/manifests/7", "MANIFEST_UNKNOWN"),
    ] {
        client.get(path).refused(404, code);
    }
    assert!(hub.seen().is_empty());
}

#[test]
fn a_tag_that_is_not_fresh_is_asked_for_and_follows() {
    let (hub, image) = hub();
    let server = mirror(&hub, &json!({ "fresh": "0s" }));
    let mut client = server.client();
    image.assert_pulls(&mut client, "hub/library/redis", "7");
    hub.seen();
    assert_eq!(client.get(SEVEN).body, image.manifest);
    let seen = hub.seen_by(Part::Registry);
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].method, "HEAD");
    let next = Image::small(3);
    hub.add("library/redis", "7", &next);
    next.assert_pulls(&mut client, "hub/library/redis", "7");
    image.assert_pulls(&mut client, "hub/library/redis", &image.digest());
}

#[test]
fn whatever_the_upstream_says_what_is_here_is_served() {
    let (hub, image) = hub();
    let server = mirror(&hub, &json!({ "fresh": "0s" }));
    let mut client = server.client();
    // the last one counts for everything
    let statuses = [401, 403, 404, 418, 500, 503, 429];
    for status in statuses {
        hub.add("library/redis", &format!("v{status}"), &image);
        image.assert_pulls(&mut client, "hub/library/redis", &format!("v{status}"));
    }
    for status in statuses {
        hub.behave(|behaviour| behaviour.statuses = [(status, "")].into());
        let served = client.get(&format!("/v2/hub/library/redis/manifests/v{status}"));
        assert_eq!(
            (served.status, &served.body),
            (200, &image.manifest),
            "{status}"
        );
        assert!(served.header("warning").is_some(), "{status}");
        hub.behave(|behaviour| assert!(behaviour.statuses.is_empty(), "{status}"));
    }
    assert!(
        server.log().contains("served what is here"),
        "{}",
        server.log()
    );
}

#[test]
fn what_is_gone_upstream_is_served_and_marked() {
    let (hub, image) = hub();
    let server = mirror(&hub, &json!({ "fresh": "0s" }));
    let mut client = server.client();
    image.assert_pulls(&mut client, "hub/library/redis", "7");
    hub.change("library/redis", |held| held.tags.clear());
    for _ in 0..2 {
        let served = client.get(SEVEN);
        assert_eq!((served.status, &served.body), (200, &image.manifest));
        assert_eq!(served.header("warning"), Some("199 - \"Gone upstream\""));
    }
    image.assert_pulls(&mut client, "hub/library/redis", "7");
}

#[test]
fn failures_without_anything_here_are_told_apart() {
    let (hub, _) = hub();
    let server = mirror(&hub, &json!({}));
    let mut client = server.client();
    client
        .get("/v2/hub/library/redis/manifests/8")
        .refused(404, "MANIFEST_UNKNOWN");
    client
        .get("/v2/hub/none/such/manifests/8")
        .refused(404, "MANIFEST_UNKNOWN");
    for (status, answered, code) in [
        (429, 429, "TOOMANYREQUESTS"),
        (403, 403, "DENIED"),
        (503, 502, "UNAVAILABLE"),
        (418, 502, "UNAVAILABLE"),
    ] {
        hub.behave(|behaviour| behaviour.statuses = [(status, "Retry-After: 17\r\n")].into());
        let refused = mirror(&hub, &json!({})).client().get(SEVEN);
        refused.refused(answered, code);
        let wait = refused.header("retry-after");
        assert_eq!(wait, (status == 429).then_some("17"), "{status}");
    }
    assert_eq!(client.get(SEVEN).status, 200);
}

#[test]
fn refusals_are_kept_for_a_short_time() {
    let (hub, _) = hub();
    let server = mirror(&hub, &json!({}));
    let mut client = server.client();
    let absent = "/v2/hub/library/redis/manifests/8";
    client.get(absent).refused(404, "MANIFEST_UNKNOWN");
    hub.seen();
    client.get(absent).refused(404, "MANIFEST_UNKNOWN");
    assert!(hub.seen().is_empty(), "nothing is asked twice");
    hub.behave(|behaviour| behaviour.statuses = [(429, "Retry-After: 30\r\n")].into());
    client.get(SEVEN).refused(429, "TOOMANYREQUESTS");
    hub.seen();
    let other = client.get("/v2/hub/library/redis/manifests/9");
    other.refused(429, "TOOMANYREQUESTS");
    let wait = other.header("retry-after").map(str::parse::<u64>);
    assert!(matches!(wait, Some(Ok(1..=30))), "{wait:?}");
    assert!(hub.seen().is_empty(), "the upstream is left alone");
}

#[test]
fn what_comes_counts_in_quotas() {
    let (hub, image) = hub();
    let section = json!([{ "prefix": "hub", "ns": "docker.io", "url": hub.url() }]).to_string();
    let quotas = |bytes: usize| json!([{ "repositories": "hub/**", "bytes": bytes }]).to_string();
    let start = |bytes| {
        Server::with(&[
            ("REGISTRY_UPSTREAMS", &section),
            ("REGISTRY_QUOTAS", &quotas(bytes)),
        ])
    };
    let size = image.manifest.len();
    let server = start(size - 1);
    server.client().get(SEVEN).refused(403, "DENIED");
    let server = start(size + 1000);
    let mut client = server.client();
    assert_eq!(client.get(SEVEN).status, 200);
    let blob = format!("/v2/hub/library/redis/blobs/{}", sha256(&image.layers[0]));
    client.get(&blob).refused(403, "DENIED");
    assert_eq!(server.blob_files(), [] as [std::path::PathBuf; 0]);
    assert_eq!(server.upload_files(), [] as [std::path::PathBuf; 0]);
}

/// It is the upstream's fault, not the client's.
#[test]
fn a_manifest_that_is_none_is_the_upstreams_fault() {
    let (hub, _) = hub();
    hub.add_manifest("library/redis", Some("none"), OCI_MANIFEST, b"{ none");
    let server = mirror(&hub, &json!({}));
    let broken = server.client().get("/v2/hub/library/redis/manifests/none");
    broken.refused(502, "UNAVAILABLE");
}

#[test]
fn a_server_starts_while_its_upstream_is_down() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = closed.local_addr().expect("an address");
    drop(closed);
    let server = mirror_of(&format!("http://{address}"), &json!({}));
    let mut client = server.client();
    client.get(SEVEN).refused(502, "UNAVAILABLE");
    Image::small(1).push(&mut client, "own/app", "v1");
    Image::small(1).assert_pulls(&mut client, "own/app", "v1");
}

#[test]
fn fifty_clients_cause_one_fetch() {
    let (hub, image) = hub();
    let server = mirror(&hub, &json!({}));
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| image.assert_pulls(&mut server.client(), "hub/library/redis", "7"));
        }
    });
    let seen = hub.seen();
    let fetches = seen.iter().filter(|seen| seen.part == Part::Store).count();
    assert_eq!(fetches, 3, "two layers and a config");
    let manifests = seen
        .iter()
        .filter(|seen| seen.method == "GET" && seen.path.contains("/manifests/"));
    assert_eq!(manifests.count(), 1);
}

#[test]
fn wrong_bytes_reach_neither_client_nor_store() {
    let (hub, image) = hub();
    hub.behave(|behaviour| behaviour.alters_blobs = true);
    let server = mirror(&hub, &json!({}));
    let mut client = server.client();
    assert_eq!(client.get(SEVEN).body, image.manifest);
    let blob = format!("/v2/hub/library/redis/blobs/{}", sha256(&image.layers[0]));
    assert!(client.request("GET", &blob).try_send().is_err());
    assert_eq!(server.blob_files(), [] as [std::path::PathBuf; 0]);
    eventually("nothing remains", || server.upload_files().is_empty());
    hub.behave(|behaviour| behaviour.alters_blobs = false);
    image.assert_pulls(&mut client, "hub/library/redis", "7");
    hub.change("library/redis", |held| {
        for (_, bytes) in held.manifests.values_mut() {
            bytes.push(b' ');
        }
    });
    let another = mirror(&hub, &json!({}));
    another.client().get(SEVEN).refused(502, "UNAVAILABLE");
}

#[test]
fn a_broken_fetch_goes_on() {
    let (hub, image) = hub();
    hub.behave(|behaviour| behaviour.resets = [1000, 100_000, 0].into());
    let server = mirror(&hub, &json!({}));
    image.assert_pulls(&mut server.client(), "hub/library/redis", "7");
}

#[test]
fn a_mirror_takes_no_pushes_and_shows_nothing_of_others() {
    let (hub, image) = hub();
    let server = mirror(&hub, &json!({ "allow": ["library/*"] }));
    let mut client = server.client();
    let secret = Image::small(9);
    secret.push(&mut client, "own/secret", "v1");
    for blob in [&secret.layers[0], &secret.config] {
        let path = format!("/v2/hub/library/redis/blobs/{}", sha256(blob));
        client.get(&path).refused(404, "BLOB_UNKNOWN");
    }
    let begun = client
        .request("POST", "/v2/hub/library/redis/blobs/uploads/")
        .send();
    begun.refused(405, "UNSUPPORTED");
    let said = String::from_utf8_lossy(&begun.body);
    assert!(!said.contains(&hub.url()), "{said}");
    let put = client.put_manifest("hub/library/redis", "8", OCI_MANIFEST, &image.manifest);
    put.refused(405, "UNSUPPORTED");
    hub.add("other/app", "v1", &image);
    client
        .get("/v2/hub/other/app/manifests/v1")
        .refused(404, "NAME_UNKNOWN");
}

#[test]
fn mistakes_in_the_section_are_named() {
    let check = |section: &Value| {
        let directory = tempfile::TempDir::new().expect("a directory");
        let file = directory.path().join("config.yml");
        let config = json!({ "version": "0.1", "upstreams": section });
        std::fs::write(&file, config.to_string()).expect("a file");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_registry"));
        let output = command
            .args(["config", "check"])
            .arg(&file)
            .output()
            .expect("it runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr)
    };
    for (section, said) in [
        (
            json!([{ "prefix": "Hub", "url": "https://h" }]),
            "in upstreams, 'Hub' is not",
        ),
        (
            json!([{ "prefix": "hub", "url": "ftp://h" }]),
            "is not the URL of a registry",
        ),
        (
            json!([{ "prefix": "a", "url": "https://h" }, { "prefix": "a/b", "url": "https://h" }]),
            "overlap",
        ),
        (
            json!([{ "prefix": "a", "url": "https://h", "username": "u" }]),
            "a login needs",
        ),
        (
            json!([{ "prefix": "a", "url": "https://h", "ca": "/no/such" }]),
            "/no/such",
        ),
        (
            json!([{ "prefix": "a", "url": "https://h", "allow": ["[" ] }]),
            "in upstreams, ",
        ),
    ] {
        let output = check(&section);
        assert!(output.contains(said), "{section}: {output}");
    }
}
