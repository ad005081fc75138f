//! Eviction of cached images: unused ones, and the least recently used beyond a size.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::mirror::{SEVEN, hub};
use crate::support::hub::Hub;
use crate::support::{
    Image, OCI_INDEX, OCI_MANIFEST, Server, descriptor, eventually, eventually_some, noise, sha256,
};

/// Lease, which is also the longest time for which evicted content stays.
pub const LEASE: &str = "300ms";

/// Starts a mirror that collects all the time and keeps as told.
pub fn keeping(hub: &Hub, keep: &Value, more: &[(&str, &str)]) -> Server {
    let upstream = json!([{ "prefix": "hub", "url": hub.url(), "fresh": "0s", "keep": keep }]);
    let upstreams = upstream.to_string();
    let mut environment = vec![
        ("REGISTRY_UPSTREAMS", &*upstreams),
        ("REGISTRY_GC_LEASE", LEASE),
        ("REGISTRY_GC_GRACE", LEASE),
        ("REGISTRY_GC_INTERVAL", "10ms"),
    ];
    environment.extend(more);
    Server::with(&environment)
}

fn database(server: &Server) -> rusqlite::Connection {
    let path = server.directory().join("registry.db");
    let database = rusqlite::Connection::open(path).expect("a database");
    let waiting = database.busy_timeout(Duration::from_secs(20));
    waiting.expect("a timeout");
    database
}

/// Returns the tags of cached repositories.
pub fn tags(server: &Server) -> Vec<String> {
    let database = database(server);
    let sql = "SELECT repositories.name || ':' || tags.name FROM tags JOIN repositories ON repositories.id = repository_id
        WHERE upstream IS NOT NULL ORDER BY 1";
    let mut rows = database.prepare(sql).expect("a schema as expected");
    let rows = rows.query_map([], |row| row.get(0)).expect("rows");
    rows.collect::<Result<_, _>>().expect("rows")
}

pub fn number(server: &Server, sql: &str) -> i64 {
    let found = database(server).query_row(sql, [], |row| row.get(0));
    found.expect("a number")
}

fn sole(server: &Server, words: &[&str]) -> Value {
    let output = server.cli(&[words, &["--output=json"]].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Waits until no blob but these has a file.
fn wait_for_files(server: &Server, blobs: &[&Vec<u8>]) {
    let mut expected: Vec<_> = blobs
        .iter()
        .map(|blob| sha256(blob)[7..].to_owned())
        .collect();
    expected.sort();
    eventually("exactly the needed files are there", || {
        let name = |path: &std::path::PathBuf| {
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
        };
        let mut files: Vec<_> = server.blob_files().iter().filter_map(name).collect();
        files.sort();
        files == expected
    });
}

/// Makes everything older by an hour, in a server that does not run.
pub fn age(server: &Server) {
    let sql =
        "UPDATE manifests SET pushed_at = pushed_at - 3600000, pulled_at = pulled_at - 3600000,
        checked_at = checked_at - 3600000";
    let aged = database(server).execute(sql, []).expect("a change");
    assert!(aged > 0);
}

/// A server that was killed has forgotten the last pulls, so that the next one waits for half a lease.
#[test]
fn nothing_is_evicted_for_half_a_lease_after_a_start() {
    let (hub, image) = hub();
    let more = [("REGISTRY_GC_LEASE", "4s")];
    let mut server = keeping(&hub, &json!({ "unused": "100ms" }), &more);
    image.assert_pulls(&mut server.client(), "hub/library/redis", "7");
    server.kill();
    age(&server);
    let begun = Instant::now();
    server.restart();
    eventually("it goes", || tags(&server).is_empty());
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_secs(2), "{waited:?}");
}

#[test]
fn what_nobody_pulls_any_more_goes_and_says_why() {
    let (hub, image) = hub();
    let other = Image::small(3);
    hub.add("library/other", "1", &other);
    let server = keeping(&hub, &json!({ "unused": "4s" }), &[]);
    let mut client = server.client();
    image.assert_pulls(&mut client, "hub/library/redis", "7");
    other.push_again(&mut client, "team/own", "1");
    let kept = server.cli(&["upstream", "keep", "hub/library/redis:7", "team/redis:7"]);
    assert!(kept.status.success(), "{kept:?}");
    eventually("only what is pulled stays", || {
        other.assert_pulls(&mut client, "hub/library/other", "1");
        tags(&server) == ["hub/library/other:1"]
    });
    eventually("the rest goes too", || tags(&server).is_empty());
    let layers = image.layers.iter().chain(&other.layers);
    let configs = [&image.config, &other.config];
    let own: Vec<_> = layers.chain(configs).collect();
    wait_for_files(&server, &own);
    image.assert_pulls(&mut client, "team/redis", "7");
    other.assert_pulls(&mut client, "team/own", "1");
    let reason = "unused in the cache of hub for 4s";
    let history = server.cli(&["tag", "history", "hub/library/redis:7"]);
    let history = String::from_utf8_lossy(&history.stdout).into_owned();
    let audit = sole(&server, &["audit", "--action=untag"]).to_string();
    let log = server.log();
    for (place, text) in [("history", history), ("audit", audit), ("log", log)] {
        assert!(text.contains(reason), "{place}: {text}");
    }
    // and comes back
    image.assert_pulls(&mut client, "hub/library/redis", "7");
}

#[test]
fn an_evicted_image_is_in_the_trash_and_can_be_restored_with_what_is_left() {
    let (hub, image) = hub();
    let more = [("REGISTRY_GC_GRACE", "1h")];
    let server = keeping(&hub, &json!({ "unused": "4s" }), &more);
    let mut client = server.client();
    image.assert_pulls(&mut client, "hub/library/redis", "7");
    eventually("it goes", || tags(&server).is_empty());
    // a long grace period is not for evicted content
    wait_for_files(&server, &[]);
    let reason = "unused in the cache of hub for 4s";
    for words in [&["restore"][..], &["why", &image.digest()]] {
        let output = server.cli(words);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(reason), "{words:?}: {said} {output:?}");
    }
    let place = format!("hub/library/redis@{}", image.digest());
    let restored = server.cli(&["restore", &place]);
    assert!(restored.status.success(), "{restored:?}");
    image.assert_pulls(&mut client, "hub/library/redis", "7");
}

#[test]
fn what_is_gone_upstream_stays_while_it_is_even_across_a_restart() {
    let (hub, image) = hub();
    hub.add("library/redis", "8", &Image::small(3));
    let mut server = keeping(&hub, &json!({ "unused": "2s" }), &[]);
    let mut client = server.client();
    let taken = std::cell::Cell::new(None);
    for tag in ["7", "8"] {
        let path = format!("/v2/hub/library/redis/manifests/{tag}");
        assert_eq!(client.get(&path).status, 200);
    }
    hub.change("library/redis", |held| taken.set(held.tags.remove("7")));
    let answer = client.get(SEVEN);
    assert_eq!(answer.header("warning"), Some("199 - \"Gone upstream\""));
    assert!(server.stop().success());
    server.restart();
    eventually("the other one goes", || {
        tags(&server) == ["hub/library/redis:7"]
    });
    // and so does one that was pulled later
    hub.add("library/redis", "9", &Image::small(4));
    let later = server.client().get("/v2/hub/library/redis/manifests/9");
    assert_eq!(later.status, 200);
    eventually("the later one goes", || {
        tags(&server) == ["hub/library/redis:7"]
    });
    let digest = taken.take().expect("a tag");
    hub.change("library/redis", |held| {
        held.tags.insert("7".to_owned(), digest);
    });
    let mut client = server.client();
    eventually("the refusal is over", || {
        client.get(SEVEN).header("warning").is_none()
    });
    image.assert_pulls(&mut client, "hub/library/redis", "7");
    eventually("it goes", || tags(&server).is_empty());
}

#[test]
fn the_least_recently_used_goes_first_beyond_the_size_and_shared_content_stays() {
    let hub = Hub::start();
    let base = noise(1, 20_000);
    let images: Vec<_> = (0..4u8)
        .map(|number| {
            Image::new(
                &format!("{number}"),
                vec![base.clone(), noise(10 + u64::from(number), 20_000)],
            )
        })
        .collect();
    for (number, image) in images.iter().enumerate() {
        hub.add(&format!("library/i{number}"), "1", image);
    }
    // room for the shared layer and two more
    let server = keeping(&hub, &json!({ "size": "62000B" }), &[]);
    let mut client = server.client();
    images[3].push_again(&mut client, "team/own", "1");
    for number in [0, 1] {
        images[number].assert_pulls(&mut client, &format!("hub/library/i{number}"), "1");
    }
    images[2].assert_pulls(&mut client, "hub/library/i2", "1");
    eventually("the one that nobody pulls any more goes", || {
        for number in [0, 2] {
            images[number].assert_pulls(&mut client, &format!("hub/library/i{number}"), "1");
        }
        tags(&server) == ["hub/library/i0:1", "hub/library/i2:1"]
    });
    let files: Vec<_> = [0, 2, 3]
        .iter()
        .flat_map(|number| {
            images[*number].layers[1..]
                .iter()
                .chain([&images[*number].config])
        })
        .chain([&base])
        .collect();
    wait_for_files(&server, &files);
    let upstream = eventually_some("it is recorded", || {
        let listed = sole(&server, &["upstream", "ls"])["upstreams"][0].clone();
        listed.is_object().then_some(listed)
    });
    let kept = upstream["keptSize"].as_u64().expect("a size");
    assert!((60_000..=62_000).contains(&kept), "{upstream}");
    assert_eq!(upstream["size"], upstream["keptSize"]);
    assert_eq!(upstream["sizeLimit"], 62_000);
    images[3].assert_pulls(&mut client, "team/own", "1");
}

/// An index goes with its children and with what is about them, and with nothing that something else holds.
#[test]
fn an_index_goes_with_its_children_as_one() {
    let hub = Hub::start();
    let children: Vec<_> = (0..3).map(Image::small).collect();
    let index = |children: &[&Image]| {
        let children: Vec<_> = children
            .iter()
            .map(|child| descriptor(OCI_MANIFEST, &child.manifest))
            .collect();
        json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children })
            .to_string()
            .into_bytes()
    };
    for (number, child) in children.iter().enumerate() {
        hub.add("library/a", &format!("only{number}"), child);
    }
    let (one, two) = (
        index(&[&children[0], &children[1]]),
        index(&[&children[1], &children[2]]),
    );
    hub.add_manifest("library/a", Some("one"), OCI_INDEX, &one);
    hub.add_manifest("library/a", Some("two"), OCI_INDEX, &two);
    let server = keeping(&hub, &json!({ "unused": "1s" }), &[]);
    let mut client = server.client();
    let get = |client: &mut crate::support::Client, tag: &str| {
        let path = format!("/v2/hub/library/a/manifests/{tag}");
        assert_eq!(client.get(&path).status, 200, "{tag}");
    };
    get(&mut client, "one");
    for child in &children {
        child.assert_pulls(&mut client, "hub/library/a", &child.digest());
    }
    eventually("one goes", || {
        get(&mut client, "two");
        tags(&server) == ["hub/library/a:two"]
    });
    // its own child went with it, the shared one stays
    let manifests = "SELECT count(*) FROM manifests";
    assert_eq!(number(&server, manifests), 3);
    let needed: Vec<_> = children[1..]
        .iter()
        .flat_map(|child| child.layers.iter().chain([&child.config]))
        .collect();
    eventually("only that remains on disk", || {
        get(&mut client, "two");
        server.blob_files().len() == needed.len()
    });
    // a pull of a child is one of its index
    let begun = Instant::now();
    eventually("it was unused for longer", || {
        get(&mut client, &children[1].digest());
        begun.elapsed() > Duration::from_millis(1500)
    });
    assert_eq!(tags(&server), ["hub/library/a:two"]);
    eventually("all goes", || number(&server, manifests) == 0);
}

#[test]
fn what_a_policy_always_keeps_and_what_an_upstream_that_fails_could_not_send_stays() {
    let (hub, image) = hub();
    hub.add("library/redis", "8", &Image::small(3));
    let policies =
        json!([{ "repositories": "hub/**", "tags": [{ "match": ["7"], "always": true }] }]);
    let policies = policies.to_string();
    let more = [("REGISTRY_POLICIES", &*policies)];
    let (other, _) = super::mirror::hub();
    let upstreams = [("hub", &hub), ("other", &other)].map(|(prefix, hub)| {
        json!({ "prefix": prefix, "url": hub.url(), "fresh": "0s", "keep": { "unused": "1s" } })
    });
    let upstreams = json!(upstreams).to_string();
    let more = [more[0], ("REGISTRY_UPSTREAMS", &*upstreams)];
    let mut server = keeping(&hub, &json!({}), &more);
    let mut client = server.client();
    image.assert_pulls(&mut client, "other/library/redis", "7");
    image.assert_pulls(&mut client, "hub/library/redis", "7");
    assert_eq!(client.get("/v2/hub/library/redis/manifests/8").status, 200);
    hub.behave(|behaviour| behaviour.is_down = true);
    assert_eq!(client.get("/v2/hub/library/redis/manifests/8").status, 200);
    // the failure is recorded as it stops
    server.stop();
    age(&server);
    server.restart();
    eventually("what has another upstream goes", || {
        !tags(&server).contains(&"other/library/redis:7".to_owned())
    });
    assert_eq!(
        tags(&server),
        ["hub/library/redis:7", "hub/library/redis:8"]
    );
    hub.behave(|behaviour| behaviour.is_down = false);
    let mut client = server.client();
    eventually("it is asked again", || {
        let answer = client.get("/v2/hub/library/redis/manifests/8");
        answer.header("warning").is_none()
    });
    eventually("the other one goes", || {
        tags(&server) == ["hub/library/redis:7"]
    });
}

/// A whole registry that is a cache keeps for as long as distribution says.
#[test]
fn a_cache_as_a_whole_has_the_time_of_distribution() {
    let (hub, image) = hub();
    let proxy = [
        ("REGISTRY_PROXY_REMOTEURL", &*hub.url()),
        ("REGISTRY_GC_LEASE", LEASE),
        ("REGISTRY_GC_GRACE", LEASE),
        ("REGISTRY_GC_INTERVAL", "10ms"),
    ]
    .map(|(name, value)| (name, value.to_owned()));
    for (ttl, stays) in [("500ms", false), ("0", true)] {
        let mut environment: Vec<_> = proxy
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        environment.push(("REGISTRY_PROXY_TTL", ttl));
        let mut server = Server::with(&environment);
        image.assert_pulls(&mut server.client(), "library/redis", "7");
        server.stop();
        age(&server);
        let planned = sole(&server, &["gc", "--dry-run"]).to_string();
        assert_eq!(!planned.contains("library/redis"), stays, "{planned}");
        server.restart();
        match stays {
            false => eventually("it goes", || tags(&server).is_empty()),
            true => assert_eq!(tags(&server), ["library/redis:7"]),
        }
    }
}

/// A command leaves evictions to the server, which alone knows who uses what, and says what it will do.
#[test]
fn a_command_says_what_a_server_will_evict() {
    let (hub, image) = hub();
    let more = [("REGISTRY_GC_ENABLED", "false")];
    let mut server = keeping(&hub, &json!({ "unused": "400ms" }), &more);
    image.assert_pulls(&mut server.client(), "hub/library/redis", "7");
    server.stop();
    age(&server);
    let planned = sole(&server, &["gc", "--dry-run"]);
    assert_eq!(planned["now"]["manifestCount"], 1, "{planned}");
    let planned = planned.to_string();
    assert!(planned.contains("unused in the cache of hub"), "{planned}");
    assert_eq!(sole(&server, &["gc"])["manifestCount"], 0);
    assert_eq!(tags(&server), ["hub/library/redis:7"]);
}

/// What can never fit goes by itself, and leaves the rest.
#[test]
fn an_image_larger_than_the_cache_takes_nothing_with_it() {
    let hub = Hub::start();
    let large = Image::new("large", vec![noise(1, 60_000), noise(2, 60_000)]);
    let small = [3, 4].map(|seed| Image::new(&seed.to_string(), vec![noise(seed, 10_000)]));
    hub.add("app", "first", &small[0]);
    hub.add("app", "second", &small[1]);
    hub.add("app", "large", &large);
    let server = keeping(&hub, &json!({ "size": "50000B" }), &[]);
    let mut client = server.client();
    small[0].assert_pulls(&mut client, "hub/app", "first");
    small[1].assert_pulls(&mut client, "hub/app", "second");
    large.assert_pulls(&mut client, "hub/app", "large");
    let planned = server.cli(&["gc", "--dry-run", "--output=json"]);
    let planned = String::from_utf8_lossy(&planned.stdout).into_owned();
    assert!(!planned.contains(&small[0].digest()), "{planned}");
    eventually("the large one goes", || tags(&server).len() < 3);
    assert_eq!(tags(&server), ["hub/app:first", "hub/app:second"]);
    // it is served all the same
    large.assert_pulls(&mut client, "hub/app", "large");
    hub.behave(|behaviour| behaviour.is_down = true);
    small[0].assert_pulls(&mut client, "hub/app", "first");
    small[1].assert_pulls(&mut client, "hub/app", "second");
}
