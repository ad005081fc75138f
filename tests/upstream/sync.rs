//! Content that is fetched ahead of clients: `sync`.

use serde_json::{Value, json};

use super::eviction::{LEASE, tags};
use crate::import::remote::signature;
use crate::start::reloading::Configured;
use crate::support::hub::{Hub, Part, Seen};
use crate::support::{
    Client, Image, OCI_INDEX, OCI_MANIFEST, Server, descriptor, eventually, eventually_some, noise,
    sha256,
};

/// A configuration without upstreams.
const BASE: &str = "version: 0.1\nlog: {level: info}\nstorage: {reserve: 0}\n";

/// Returns the section of an upstream from which something is fetched ahead.
fn section(hub: &Hub, sync: &Value, more: &Value) -> String {
    let mut upstream = json!({ "prefix": "hub", "url": hub.url(), "fresh": "0s", "sync": sync });
    let more = more.as_object().cloned().unwrap_or_default();
    upstream.as_object_mut().expect("an object").extend(more);
    json!([upstream]).to_string()
}

/// Starts a server that fetches ahead.
fn syncing(hub: &Hub, sync: &Value, more: &Value) -> Server {
    Server::with(&[("REGISTRY_UPSTREAMS", &section(hub, sync, more))])
}

/// Returns the rules of the only upstream, with their last runs.
fn rules(server: &Server) -> Vec<Value> {
    let output = server.cli(&["upstream", "ls", "--output=json"]);
    assert!(output.status.success(), "{output:?}");
    let listed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let rules = listed["upstreams"][0]["sync"].as_array().cloned();
    rules.unwrap_or_default()
}

/// Waits until a rule has gone through, after some time, and returns it.
#[track_caller]
fn completed(server: &Server, number: usize, after: &Value) -> Value {
    eventually_some("a run goes through", || {
        let rule = rules(server).get(number).cloned()?;
        (rule["completed"].is_string() && rule["completed"] != *after).then_some(rule)
    })
}

/// Waits until a whole run has been made that began after this call.
#[track_caller]
fn run_again(server: &Server) -> Value {
    let first = completed(server, 0, &Value::Null)["completed"].clone();
    let second = completed(server, 0, &first)["completed"].clone();
    completed(server, 0, &second)
}

fn index(children: &[Value]) -> Vec<u8> {
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children });
    index.to_string().into_bytes()
}

/// Returns the descriptor of an image for a platform.
fn child(image: &Image, architecture: &str) -> Value {
    let mut child = descriptor(OCI_MANIFEST, &image.manifest);
    child["platform"] = json!({ "os": "linux", "architecture": architecture });
    child
}

/// Returns what the debug port counts.
fn metrics(server: &Server) -> String {
    let address = eventually_some("the debug port is logged", || {
        let log = server.log();
        let line = log
            .lines()
            .find(|line| line.contains("debug port listening"))?;
        let (_, rest) = line.split_once("address=")?;
        Some(rest.split_whitespace().next()?.trim_matches('"').to_owned())
    });
    let answer = Client::new(&address).get("/metrics");
    String::from_utf8(answer.body).expect("text")
}

/// Keeps the requests for manifests and blobs, but for those that ask what a tag points at.
fn fetches(seen: Vec<Seen>) -> Vec<String> {
    let is_fetch = |seen: &Seen| {
        seen.method == "GET" && (seen.path.contains("/blobs/") || seen.path.contains("/manifests/"))
    };
    let fetches = seen.into_iter().filter(is_fetch);
    fetches.map(|seen| seen.path).collect()
}

#[test]
fn globs_and_ranges_bring_what_they_name_and_nothing_else() {
    let hub = Hub::start();
    let images: Vec<_> = (0..6).map(Image::small).collect();
    let named = ["v1.2.0", "v1.9.9", "v2.0.0", "v1", "latest", "1.3.0"];
    for (image, tag) in images.iter().zip(named) {
        hub.add("team/app", tag, image);
    }
    hub.add("team/other", "v1.5.0", &images[0]);
    hub.add("else", "v1.5.0", &images[1]);
    hub.behave(|behaviour| behaviour.page = 2);
    let sync = json!([{ "repository": "team/*", "tags": "v*", "semver": ">=1.2, <2" }]);
    let server = syncing(&hub, &sync, &json!({}));
    let rule = completed(&server, 0, &Value::Null);
    let counts = ["repositoryCount", "tagCount", "missingTagCount"];
    assert_eq!(counts.map(|key| &rule[key]), [2, 3, 0], "{rule}");
    assert_eq!(rule["everySeconds"], 6 * 3600);
    assert_eq!(rule["problems"], json!([]));
    hub.behave(|behaviour| behaviour.is_down = true);
    let mut client = server.client();
    images[0].assert_pulls(&mut client, "hub/team/app", "v1.2.0");
    images[1].assert_pulls(&mut client, "hub/team/app", "v1.9.9");
    images[0].assert_pulls(&mut client, "hub/team/other", "v1.5.0");
    let expected = ["app:v1.2.0", "app:v1.9.9", "other:v1.5.0"];
    let expected = expected.map(|name| format!("hub/team/{name}"));
    assert_eq!(tags(&server), expected);
    let said = server.cli(&["upstream", "ls"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let words = "fetching team/*:v* >=1.2, <2 ahead";
    assert!(
        said.contains(words) && said.contains("3 of 3 tags here"),
        "{said}"
    );
    assert!(server.cli(&["verify"]).status.success());
}

/// Only the named platform comes, with its attestation and signatures; the rest comes when it is pulled, and a further run fetches nothing.
#[test]
fn of_an_index_only_the_named_platforms_come() {
    let hub = Hub::start();
    let images: Vec<_> = (0..5).map(Image::small).collect();
    let mut attestations = [2, 3].map(|number| child(&images[number], "unknown"));
    for (attestation, image) in attestations.iter_mut().zip(&images) {
        attestation["platform"]["os"] = json!("unknown");
        attestation["annotations"] = json!({ "vnd.docker.reference.digest": image.digest() });
    }
    let [amd64, arm64] = [child(&images[0], "amd64"), child(&images[1], "arm64")];
    let [first, second] = attestations;
    let index = index(&[amd64, arm64, first, second]);
    for image in &images[..4] {
        hub.add("app", "moving", image);
    }
    hub.add_manifest("app", Some("1"), OCI_INDEX, &index);
    hub.change("app", |held| {
        held.tags.remove("moving");
        held.blobs.insert(sha256(b"{}"), b"{}".to_vec());
    });
    let signed = signature(&images[0].manifest);
    hub.add_manifest("app", None, OCI_MANIFEST, &signed);
    let cosign = images[0].digest().replace(':', "-") + ".sig";
    hub.add("app", &cosign, &images[4]);
    let other = sha256(b"other").replace(':', "-") + ".sig";
    hub.add("app", &other, &images[3]);
    let sync = json!([{ "repository": "app", "tags": ["1"], "platforms": ["linux/amd64"], "every": "1s" }]);
    let server = syncing(&hub, &sync, &json!({}));
    let rule = run_again(&server);
    assert_eq!(
        (&rule["tagCount"], &rule["problems"]),
        (&json!(1), &json!([]))
    );
    hub.seen();
    run_again(&server);
    assert_eq!(
        fetches(hub.seen()),
        [""; 0],
        "a further run fetches nothing"
    );
    assert_eq!(
        tags(&server),
        ["hub/app:1".to_owned(), format!("hub/app:{cosign}")]
    );
    let needed = [0, 2, 4].map(|number| &images[number]);
    let files = needed
        .iter()
        .flat_map(|image| image.layers.iter().chain([&image.config]));
    // the one of the signature beside them
    assert_eq!(server.blob_files().len(), files.count() + 1);
    hub.behave(|behaviour| behaviour.is_down = true);
    let mut client = server.client();
    assert_eq!(client.get("/v2/hub/app/manifests/1").body, index);
    images[0].assert_pulls(&mut client, "hub/app", &images[0].digest());
    images[4].assert_pulls(&mut client, "hub/app", &cosign);
    let about = format!("/v2/hub/app/referrers/{}", images[0].digest());
    let about = client.get(&about).json();
    assert_eq!(about["manifests"][0]["digest"], sha256(&signed), "{about}");
    let missing = format!("/v2/hub/app/manifests/{}", images[1].digest());
    assert_ne!(client.get(&missing).status, 200);
    assert!(server.cli(&["verify"]).status.success());
    hub.behave(|behaviour| behaviour.is_down = false);
    eventually("the other platform comes with a pull", || {
        client.get(&missing).status == 200
    });
    images[1].assert_pulls(&mut client, "hub/app", &images[1].digest());
}

/// A restart makes no run before its time, whatever killed the server.
#[test]
fn a_restart_makes_no_run_before_its_time_and_the_next_brings_news() {
    let hub = Hub::start();
    let images = [1, 2].map(Image::small);
    hub.add("slow", "1", &images[0]);
    hub.add("quick", "1", &images[0]);
    let slow = json!({ "repository": "slow", "tags": ["*"], "every": "1h" });
    let server = syncing(&hub, &json!([slow]), &json!({}));
    let before = completed(&server, 0, &Value::Null);
    let mut server = server;
    server.kill();
    hub.add("slow", "2", &images[1]);
    hub.add("quick", "2", &images[1]);
    hub.seen();
    // the first rule would be run first if it were due
    let sync = json!([slow, { "repository": "quick", "tags": ["*"], "every": "1s" }]);
    let section = section(&hub, &sync, &json!({}));
    let server = Server::at(server.directory(), &[("REGISTRY_UPSTREAMS", &section)]);
    eventually("the new rule is run", || {
        let rules = rules(&server);
        rules.len() == 2 && rules[0]["completed"].is_string()
    });
    let found = rules(&server);
    assert_eq!(found[0]["rule"], "quick:*");
    assert_eq!(found[1]["completed"], before["completed"]);
    let asked = hub.seen();
    let is_slow = |seen: &Seen| seen.path.contains("slow");
    assert!(!asked.iter().any(is_slow), "{asked:?}");
    // it comes again by itself
    hub.add("quick", "3", &images[0]);
    eventually("news come", || {
        tags(&server).contains(&"hub/quick:3".to_owned())
    });
    assert!(!tags(&server).contains(&"hub/slow:2".to_owned()));
}

#[test]
fn a_failure_is_shown_and_counted_and_tried_again() {
    let hub = Hub::start();
    let image = Image::small(1);
    hub.add("app", "1", &image);
    let broken = Image::new("broken", vec![noise(9, 500)]);
    hub.add("app", "2", &broken);
    hub.change("app", |held| {
        held.blobs.remove(&sha256(&broken.layers[0]));
    });
    hub.behave(|behaviour| behaviour.is_down = true);
    let sync = json!([{ "repository": "app", "tags": ["*"], "every": "2s" }]);
    let server = syncing(&hub, &sync, &json!({}));
    let failed = eventually_some("it fails", || {
        let rule = rules(&server).pop()?;
        rule["failure"].is_string().then_some(rule)
    });
    assert_eq!(failed["completed"], Value::Null);
    let said = server.cli(&["upstream", "ls"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.contains("failed: the upstream was not reached"),
        "{said}"
    );
    assert!(server.log().contains("fetching ahead failed"));
    hub.behave(|behaviour| behaviour.is_down = false);
    let rule = completed(&server, 0, &Value::Null);
    assert_eq!(
        (&rule["failure"], &rule["tagCount"]),
        (&Value::Null, &json!(2))
    );
    // the image that is damaged there is named, and does not stop the other
    let problems = rule["problems"].to_string();
    assert!(problems.contains("is missing: left out"), "{problems}");
    hub.behave(|behaviour| behaviour.is_down = true);
    image.assert_pulls(&mut server.client(), "hub/app", "1");
}

#[test]
fn rules_come_and_go_without_a_restart() {
    let hub = Hub::start();
    let image = Image::small(1);
    hub.add("app", "1", &image);
    let configured = Configured::start(BASE);
    let rules = |configured: &Configured| {
        let listed = configured.object(&["upstream", "ls"]);
        listed["upstreams"][0]["sync"].clone()
    };
    let sync = json!([{ "repository": "app", "tags": ["1"] }]);
    let with = |sync: &Value| format!("{BASE}upstreams: {}\n", section(&hub, sync, &json!({})));
    configured.replace(&with(&sync));
    configured.hang_up();
    configured.says(&["fetched ahead", "app:1"]);
    eventually("the end is recorded", || {
        rules(&configured)[0]["completed"].is_string()
    });
    // the same with another interval is due once that is over
    configured.replace(&with(
        &json!([{ "repository": "app", "tags": ["1"], "every": "1s" }]),
    ));
    configured.hang_up();
    configured.says(&["fetched ahead", "app:1"]);
    configured.replace(&with(&json!([])));
    configured.hang_up();
    configured.says(&["now in force", "upstreams"]);
    eventually("the rule is forgotten", || rules(&configured) == json!([]));
    configured.replace(&with(&json!([{ "repository": "app" }])));
    configured.hang_up();
    configured.says(&["rejected", "tags or semver must say"]);
}

/// A tag that left upstream is marked, stays, and loses its mark when it is back.
#[test]
fn tags_follow_and_those_that_left_are_marked() {
    let hub = Hub::start();
    let images = [1, 2].map(Image::small);
    hub.add("app", "1", &images[0]);
    hub.add("app", "2", &images[0]);
    let sync = json!([{ "repository": "app", "tags": ["*"], "every": "1s" }]);
    let server = Server::with(&[
        ("REGISTRY_UPSTREAMS", &section(&hub, &sync, &json!({}))),
        ("REGISTRY_HTTP_DEBUG_ADDR", "127.0.0.1:0"),
        ("REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED", "true"),
    ]);
    completed(&server, 0, &Value::Null);
    let digest = std::cell::Cell::new(None);
    hub.change("app", |held| digest.set(held.tags.remove("1")));
    hub.add("app", "2", &images[1]);
    let gone = r#"registry_upstream_gone_tags{upstream="hub"} 1"#;
    let whole = r#"registry_upstream_syncs_total{upstream="hub",outcome="whole"} "#;
    let counted = metrics(&server);
    assert!(
        counted.contains(whole) && !counted.contains(gone),
        "{counted}"
    );
    let marked = "SELECT count(*) FROM tags WHERE gone_at IS NOT NULL";
    let number = |sql: &str| super::eviction::number(&server, sql);
    eventually("it is marked", || number(marked) == 1);
    eventually("it is counted", || metrics(&server).contains(gone));
    assert_eq!(tags(&server), ["hub/app:1", "hub/app:2"]);
    let back = digest.take().expect("a digest");
    hub.change("app", |held| {
        held.tags.insert("1".to_owned(), back);
    });
    eventually("it is back", || number(marked) == 0);
    eventually("it counts no more", || !metrics(&server).contains(gone));
    hub.behave(|behaviour| behaviour.is_down = true);
    images[1].assert_pulls(&mut server.client(), "hub/app", "2");
}

/// Content that is named is not unused, and goes last beyond the size.
#[test]
fn what_is_named_is_kept() {
    let hub = Hub::start();
    let images: Vec<_> = (0..2)
        .map(|number| Image::new(&format!("{number}"), vec![noise(number, 20_000)]))
        .collect();
    hub.add("app", "ahead", &images[0]);
    hub.add("app", "pulled", &images[1]);
    let sync = json!([{ "repository": "app", "tags": ["ahead"], "every": "1h" }]);
    let start = |at: Option<&Server>, sync: &Value, keep: Value| {
        let section = section(&hub, sync, &json!({ "keep": keep }));
        let environment = [
            ("REGISTRY_UPSTREAMS", &*section),
            ("REGISTRY_GC_LEASE", LEASE),
            ("REGISTRY_GC_GRACE", LEASE),
            ("REGISTRY_GC_INTERVAL", "10ms"),
        ];
        match at {
            Some(server) => Server::at(server.directory(), &environment),
            None => Server::with(&environment),
        }
    };
    let mut server = start(None, &sync, json!({ "unused": "500ms" }));
    completed(&server, 0, &Value::Null);
    images[1].assert_pulls(&mut server.client(), "hub/app", "pulled");
    eventually("what nobody named goes", || {
        tags(&server) == ["hub/app:ahead"]
    });
    // and is forecast neither
    let planned = server.cli(&["gc", "--dry-run", "--output=json"]);
    let planned = String::from_utf8_lossy(&planned.stdout).into_owned();
    assert!(!planned.contains("hub/app"), "{planned}");
    // beyond the size the other goes first, although it was used later
    server.stop();
    let mut unlimited = start(Some(&server), &sync, json!({}));
    images[1].assert_pulls(&mut unlimited.client(), "hub/app", "pulled");
    unlimited.stop();
    let mut limited = start(Some(&server), &sync, json!({ "size": "30000B" }));
    eventually("the other goes", || tags(&limited) == ["hub/app:ahead"]);
    // no longer named, it goes as everything
    limited.stop();
    let last = start(Some(&server), &json!([]), json!({ "unused": "500ms" }));
    eventually("it goes", || tags(&last).is_empty());
}

/// An upstream that names content of others by its digest does not make it visible.
#[test]
fn content_of_others_does_not_become_visible() {
    let hub = Hub::start();
    let secret = Image::new("secret", vec![noise(7, 5000)]);
    hub.add("app", "1", &secret);
    // it says that it has them, and sends other bytes of the same size
    hub.behave(|behaviour| behaviour.alters_blobs = true);
    let server = Server::start();
    secret.push(&mut server.client(), "team/secret", "1");
    let mut server = server;
    server.stop();
    let sync = json!([{ "repository": "app", "tags": ["*"], "every": "1h" }]);
    let section = section(&hub, &sync, &json!({}));
    let server = Server::at(server.directory(), &[("REGISTRY_UPSTREAMS", &section)]);
    let rule = completed(&server, 0, &Value::Null);
    let problems = rule["problems"].as_array().map_or(0, Vec::len);
    assert!(problems > 0, "{rule}");
    let mut client = server.client();
    let blob = format!("/v2/hub/app/blobs/{}", sha256(&secret.layers[0]));
    // what the upstream sends for it now breaks off, and never is the content
    let answer = client.request("GET", &blob).try_send();
    assert!(answer.is_err(), "{answer:?}");
    let mut client = server.client();
    secret.assert_pulls(&mut client, "team/secret", "1");
}

/// Own repositories, quotas, and the last part of what the upstream allows are left alone.
#[test]
fn limits_hold() {
    let hub = Hub::start();
    let image = Image::new("large", vec![noise(7, 50_000)]);
    let small = Image::small(9);
    hub.add("app", "0", &small);
    for repository in ["own", "app", "allowed"] {
        hub.add(repository, "1", &image);
    }
    let mut server = Server::start();
    image.push(&mut server.client(), "hub/own", "mine");
    server.stop();
    let sync = json!([{ "repository": "*", "tags": ["*"], "every": "1h" }]);
    let allow = json!({ "allow": ["own", "app"] });
    let section = section(&hub, &sync, &allow);
    let quotas = json!([{ "repositories": "hub/app", "bytes": 10_000 }]).to_string();
    let environment = [
        ("REGISTRY_UPSTREAMS", &*section),
        ("REGISTRY_QUOTAS", &*quotas),
    ];
    let mut server = Server::at(server.directory(), &environment);
    let rule = completed(&server, 0, &Value::Null);
    let problems = rule["problems"].to_string();
    assert!(problems.contains("is one's own here"), "{problems}");
    assert!(problems.contains("quota of hub/app exceeded"), "{problems}");
    assert_eq!(rule["repositoryCount"], 2);
    // the image that came before it is whole, and has its tag
    assert!(tags(&server).contains(&"hub/app:0".to_owned()));
    small.assert_pulls(&mut server.client(), "hub/app", "0");
    assert_eq!(rule["missingTagCount"], 1, "{rule}");
    let asked = hub.seen_by(Part::Registry);
    assert!(!asked.iter().any(|seen| seen.path.contains("allowed")));
    server.stop();
    let more = Image::small(3);
    hub.add("app", "2", &more);
    hub.leave(20);
    let sync = json!([{ "repository": "app", "tags": ["2"], "every": "1h" }]);
    let section = self::section(&hub, &sync, &json!({}));
    let server = Server::at(server.directory(), &[("REGISTRY_UPSTREAMS", &section)]);
    let failed = eventually_some("it is refused", || {
        let rule = rules(&server).pop()?;
        rule["failure"].is_string().then_some(rule)
    });
    let failure = failed["failure"].to_string();
    assert!(
        failure.contains("only 20 of 100 requests remain"),
        "{failure}"
    );
    // clients have the rest
    more.assert_pulls(&mut server.client(), "hub/app", "2");
}

/// A rule that names nothing is no success.
#[test]
fn a_rule_that_names_nothing_says_so() {
    let hub = Hub::start();
    hub.add("app", "1", &Image::small(1));
    let sync = json!([
        { "repository": "app", "tags": ["v*"], "every": "1h" },
        { "repository": "ap/*", "tags": ["*"], "every": "1h" },
    ]);
    let server = syncing(&hub, &sync, &json!({}));
    for number in 0..2 {
        let rule = completed(&server, number, &Value::Null);
        let problems = rule["problems"].to_string();
        assert!(problems.contains("the rule names no"), "{rule}");
    }
    let said = server.cli(&["upstream", "ls"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("names none of the tags there"), "{said}");
}

/// A reload that leaves an upstream as it is does not say that its run has ended.
#[test]
fn a_run_goes_on_through_a_reload() {
    let hub = Hub::start();
    let image = Image::new("slow", vec![noise(3, 300_000)]);
    hub.add("app", "1", &image);
    let pause = hub.pause_at(100_000);
    let sync = json!([{ "repository": "app", "tags": ["1"], "every": "1h" }]);
    let with = |more: &str| {
        let mut upstreams: Value =
            serde_json::from_str(&section(&hub, &sync, &json!({ "timeout": "10s" })))
                .expect("JSON");
        let other = json!({ "prefix": more, "url": "http://127.0.0.1:9" });
        upstreams.as_array_mut().expect("a list").push(other);
        format!("{BASE}upstreams: {upstreams}\n")
    };
    let configured = Configured::start(&with("one"));
    let rule = || configured.object(&["upstream", "ls"])["upstreams"][0]["sync"][0].clone();
    let begun = eventually_some("a run begins", || {
        let begun = rule()["begun"].clone();
        begun.is_string().then_some(begun)
    });
    configured.replace(&with("two"));
    configured.hang_up();
    configured.says(&["now in force", "upstreams"]);
    eventually("the other upstream is known", || {
        let listed = configured.object(&["upstream", "ls"]);
        listed.to_string().contains("\"two\"")
    });
    assert_eq!(rule()["begun"], begun);
    drop(pause);
    eventually("it ends", || rule()["completed"].is_string());
    assert_eq!(rule()["begun"], Value::Null);
}

/// Indexes that name each other without end are given up before they need all memory.
#[test]
fn a_chain_of_indexes_has_an_end() {
    let hub = Hub::start();
    let image = Image::small(1);
    hub.add("app", "good", &image);
    let mut below = descriptor(OCI_MANIFEST, &image.manifest);
    let padding = "x".repeat(4_000_000);
    for _ in 0..18 {
        below["annotations"] = json!({ "padding": padding });
        let bytes = index(&[below]);
        hub.add_manifest("app", Some("deep"), OCI_INDEX, &bytes);
        below = descriptor(OCI_INDEX, &bytes);
    }
    let sync = json!([{ "repository": "app", "tags": ["*"], "every": "1h" }]);
    let server = syncing(&hub, &sync, &json!({}));
    let rule = completed(&server, 0, &Value::Null);
    let problems = rule["problems"].to_string();
    assert!(problems.contains("nested too deep"), "{problems}");
    image.assert_pulls(&mut server.client(), "hub/app", "good");
}
