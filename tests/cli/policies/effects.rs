//! Removals, immutable tags, and uses that the rules count.

use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;

use super::super::{FAST, json, refusal, text, texts, with_fast_collection};
use super::{configuration, push};
use crate::support::{Image, OCI_MANIFEST, Server, eventually};

#[test]
fn the_server_removes_tags_by_rule_and_records_history() {
    let policies = "[{repositories: '**', tags: [{match: ['pr-*'], newest: 2}]}]";
    let server = Server::with(
        &[
            &FAST[..],
            &[("REGISTRY_GC_GRACE", "1h"), ("REGISTRY_POLICIES", policies)],
        ]
        .concat(),
    );
    let mut client = server.client();
    push(
        &mut client,
        "app",
        &["pr-1", "pr-2", "main", "pr-3", "pr-4"],
    );
    eventually("the rule is applied", || {
        texts(&client.get("/v2/app/tags/list").json()["tags"]) == ["main", "pr-3", "pr-4"]
    });
    let rule = "rule 'pr-*' of policy '**'";
    let history = json(&server, &["tag", "history", "app:pr-1"]);
    assert_eq!(history["states"][0]["end"]["how"], "removed");
    assert_eq!(
        history["states"][0]["end"]["who"]["name"],
        format!("garbage collection ({rule})")
    );
    assert!(
        text(&server, &["tag", "history", "app:pr-2"])
            .contains(&format!("removed by garbage collection ({rule})"))
    );
    eventually("the log names both tags and the rule", || {
        let log = server.log();
        let lines = log
            .lines()
            .filter(|line| line.contains("a rule removed tags"));
        let named: Vec<_> = lines.filter(|line| line.contains("pr-*")).collect();
        ["pr-1", "pr-2"]
            .iter()
            .all(|tag| named.iter().any(|line| line.contains(tag)))
    });
}

#[test]
fn a_tag_that_goes_back_is_as_old_as_before() {
    let server = Server::start();
    let mut client = server.client();
    push(&mut client, "app", &["pr-1", "pr-2"]);
    Image::small(3).push(&mut client, "app", "pr-1");
    let rules = "\npolicies: [{repositories: '**', tags: [{match: ['pr-*'], newest: 1}]}]\n";
    let file = configuration(&server, rules);
    let removed = || {
        let preview = json(
            &server,
            // after the grace period, for which rules spare what was restored
            &["policy", "preview", "--config", &file, "--at", "+25h"],
        );
        let tags = preview["tags"].as_array().expect("tags").iter();
        let removed = tags.filter(|tag| tag["kept"] == false);
        removed.map(|tag| tag["tag"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(removed(), ["pr-2"]);
    text(&server, &["tag", "restore", "app:pr-1"]);
    assert_eq!(removed(), ["pr-1"]);
    let listed = json(&server, &["ls", "app"])["tags"].clone();
    let history = json(&server, &["tag", "history", "app:pr-1"])["states"].clone();
    assert_eq!(listed[0]["pushed"], history[2]["since"], "{history}");
}

#[test]
fn an_immutable_tag_accepts_only_the_same_digest() {
    let server = Server::with(&[(
        "REGISTRY_POLICIES",
        "[{repositories: '**', immutable: ['v*']}]",
    )]);
    let mut client = server.client();
    let (image, other) = (Image::small(1), Image::small(2));
    image.push(&mut client, "app", "v1");
    other.push(&mut client, "app", "latest");
    image.push(&mut client, "app", "latest");
    assert_eq!(
        client
            .put_manifest("app", "v1", OCI_MANIFEST, &image.manifest)
            .status,
        201,
        "the same digest"
    );
    client
        .put_manifest("app", "v1", OCI_MANIFEST, &other.manifest)
        .refused(409, "DENIED");
    client.delete("/v2/app/manifests/v1").refused(409, "DENIED");
    client
        .delete(&format!("/v2/app/manifests/{}", image.digest()))
        .refused(409, "DENIED");
    image.assert_pulls(&mut client, "app", "v1");
    assert_eq!(client.delete("/v2/app/manifests/latest").status, 202);
    let sentence = refusal(
        &server,
        &["tag", "restore", "app:v1", "--to", &other.digest()],
    );
    assert!(sentence.contains("immutable"), "{sentence}");
}

#[test]
fn the_policy_sets_how_long_untagged_manifests_stay() {
    let policies = "[{repositories: 'short/*', keepuntagged: 0s}, {repositories: 'long/*', keepuntagged: forever}]";
    let image = Image::small(1);
    let repositories = ["short/app", "long/app", "other"];
    let (_directory, server) = with_fast_collection(
        &[
            ("REGISTRY_GC_KEEPUNTAGGED", "1h"),
            ("REGISTRY_POLICIES", policies),
        ],
        |client| {
            repositories
                .iter()
                .for_each(|repository| image.push(client, repository, "v1"));
        },
    );
    let mut client = server.client();
    let path = |repository: &str| format!("/v2/{repository}/manifests/{}", image.digest());
    for repository in repositories {
        assert_eq!(
            client
                .delete(&format!("/v2/{repository}/manifests/v1"))
                .status,
            202
        );
    }
    let mut look = |repository: &str| client.get(&path(repository)).status;
    // requested once only: a pull would keep it
    eventually("the untagged manifest is gone", || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        look("short/app") == 404
    });
    assert_eq!((look("long/app"), look("other")), (200, 200));
}

/// Makes all tags older, as if the server had run for this long.
fn backdate_tags(server: &Server, age: Duration) {
    Connection::open(server.directory().join("registry.db"))
        .expect("the database")
        .execute(
            "UPDATE tags SET pushed_at = pushed_at - ?1",
            [i64::try_from(age.as_millis()).expect("an age")],
        )
        .expect("the tags are older");
}

/// Clients that have an image ask with HEAD and pull nothing.
#[test]
fn a_check_counts_as_a_use_but_is_no_pull_and_writes_nothing() {
    let policies = "[{repositories: '**', tags: [{match: ['*'], pulled: 1h}]}]";
    let mut server = Server::with(&[
        ("REGISTRY_POLICIES", policies),
        ("REGISTRY_GC_ENABLED", "false"),
    ]);
    let tags = ["unused", "head", "head-by-digest", "not-modified"];
    push(&mut server.client(), "app", &tags);
    assert!(server.stop().success());
    backdate_tags(&server, Duration::from_secs(2 * 3600));
    server.restart();
    // the last thing that a start writes
    eventually("both starts are in the audit log", || {
        let starts = json(&server, &["audit", "--action", "configure"]);
        starts["events"].as_array().map(Vec::len) == Some(2)
    });
    let mut client = server.client();
    let digests = [3_u64, 4].map(|seed| Image::small(seed).digest());
    let log = || std::fs::read(server.directory().join("registry.db-wal")).expect("the log");
    let before = log();
    for _ in 0..20 {
        assert_eq!(client.head("/v2/app/manifests/head").status, 200);
    }
    assert!(log() == before, "a HEAD writes to the database");
    assert_eq!(
        client
            .head(&format!("/v2/app/manifests/{}", digests[0]))
            .status,
        200
    );
    let etag = format!("\"{}\"", digests[1]);
    let path = "/v2/app/manifests/not-modified";
    let response = client
        .request("GET", path)
        .header("If-None-Match", &etag)
        .send();
    assert_eq!(response.status, 304);
    // recorded every few seconds, and when the server ends
    assert!(server.stop().success());
    let rows = json(&server, &["ls", "app"])["tags"].clone();
    for row in rows.as_array().expect("rows") {
        let is_checked = row["tag"] != "unused";
        assert_eq!(
            (
                &row["pulled"],
                &row["pullCount"],
                row["checked"].is_string()
            ),
            (&Value::Null, &0.into(), is_checked),
            "{row}"
        );
    }
    assert!(text(&server, &["gc"]).contains("collected 1 tag"));
    server.restart();
    let left = server.client().get("/v2/app/tags/list").json();
    assert_eq!(
        texts(&left["tags"]),
        ["head", "head-by-digest", "not-modified"]
    );
}
