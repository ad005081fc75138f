//! Events that no client's change of a tag makes.

use serde_json::json;

use super::receiver::Receiver;
use super::server;
use crate::support::{Image, OCI_MANIFEST, Server, eventually, noise, sha256};

/// A rule's removals are told as its own, and a client's are not told as a rule's.
#[test]
fn a_tag_that_a_rule_removes_expires() {
    let (expired, deleted) = (Receiver::start(), Receiver::start());
    let webhooks = format!(
        "[{{name: a, url: '{}', events: [expire]}}, {{name: b, url: '{}', events: [delete]}}]",
        expired.url(),
        deleted.url()
    );
    let server = Server::with(&[
        ("REGISTRY_WEBHOOKS", &*webhooks),
        (
            "REGISTRY_POLICIES",
            "[{repositories: '**', tags: [{match: ['pr-*'], newest: 1}]}]",
        ),
        ("REGISTRY_GC_INTERVAL", "20ms"),
    ]);
    let client = &mut server.client();
    let former = Image::small(1);
    former.push(client, "app", "pr-1");
    Image::small(2).push(client, "app", "pr-2");
    Image::small(3).push(client, "app", "main");
    assert_eq!(client.delete("/v2/app/manifests/main").status, 202);
    eventually("both arrive", || {
        !expired.taken().is_empty() && !deleted.taken().is_empty()
    });
    let (expired, deleted) = (expired.taken(), deleted.taken());
    assert_eq!((expired.len(), deleted.len()), (1, 1), "{expired:?}");
    let event = expired[0].json();
    assert_eq!(event["type"], "tarkeep.tag.expired");
    assert_eq!(event["subject"], "app:pr-1");
    assert_eq!(event["data"]["digest"], former.digest());
    assert_eq!(
        event["data"]["actor"],
        "garbage collection (rule 'pr-*' of policy '**')"
    );
    let event = deleted[0].json();
    assert_eq!(
        (&event["type"], &event["subject"]),
        (&json!("tarkeep.tag.deleted"), &json!("app:main"))
    );
}

#[test]
fn a_push_that_a_quota_refuses_is_told() {
    let receiver = Receiver::start();
    let webhooks = json!([{ "name": "all", "url": receiver.url(), "events": ["quota"] }]);
    let quotas = json!([{ "repositories": "home/*/**", "bytes": "1MiB" }]);
    let server = Server::with(&[
        ("REGISTRY_WEBHOOKS", &webhooks.to_string()),
        ("REGISTRY_QUOTAS", &quotas.to_string()),
    ]);
    let push = |repository: &str| {
        let content = noise(1, 2 << 20);
        let path = format!(
            "/v2/{repository}/blobs/uploads/?digest={}",
            sha256(&content)
        );
        server.client().request("POST", &path).body(&content).send()
    };
    assert_eq!(push("team/app").status, 201);
    push("home/ann/app").refused(403, "DENIED");
    eventually("it arrives", || !receiver.taken().is_empty());
    let taken = receiver.taken();
    assert_eq!(taken.len(), 1, "{taken:?}");
    let event = taken[0].json();
    assert_eq!(event["type"], "tarkeep.quota.exceeded");
    assert_eq!(event["data"]["repository"], "home/ann/app");
    assert_eq!(
        event["data"]["detail"],
        "quota of home/ann/** exceeded: 0 B of 1.0 MiB used, and this needs 2.0 MiB"
    );
}

#[test]
fn a_backup_that_fails_is_told() {
    let (receiver, directory) = (Receiver::start(), tempfile::tempdir().expect("a directory"));
    let webhooks = json!([{ "name": "all", "url": receiver.url(), "events": ["backup"] }]);
    let nowhere = directory.path().join("nowhere");
    let _server = Server::with(&[
        ("REGISTRY_WEBHOOKS", &webhooks.to_string()),
        ("REGISTRY_BACKUP_TO", nowhere.to_str().expect("text")),
    ]);
    eventually("it arrives", || !receiver.taken().is_empty());
    let event = receiver.taken()[0].json();
    assert_eq!(event["type"], "tarkeep.backup.failed");
    assert_eq!(event["data"]["actor"], "backup");
    assert_eq!(event.get("subject"), None);
    let detail = event["data"]["detail"].as_str().expect("a detail");
    assert!(detail.contains("there is no directory"), "{detail}");
}

/// What a pull misses is told of with its repository, what a verification finds (here of another process) with its digest.
#[test]
fn damage_that_a_pull_or_a_verification_finds_is_told() {
    let receiver = Receiver::start();
    let server = server(&format!(
        "[{{name: all, url: '{}', events: [damage]}}]",
        receiver.url()
    ));
    let client = &mut server.client();
    let (lost, rotten) = (noise(1, 5000), noise(2, 5000));
    for blob in [&lost, &rotten] {
        client.push_blob("app", blob);
    }
    let path = |blob: &[u8]| {
        let digest = sha256(blob);
        let files = server.blob_files();
        let hex = digest.trim_start_matches("sha256:").to_owned();
        let found = files.into_iter().find(|path| path.ends_with(&hex));
        found.expect("a file")
    };
    std::fs::remove_file(path(&lost)).expect("removed");
    let answer = client.get(&format!("/v2/app/blobs/{}", sha256(&lost)));
    answer.refused(404, "BLOB_UNKNOWN");
    eventually("the pull's finding arrives", || {
        !receiver.taken().is_empty()
    });
    let mut flipped = rotten.clone();
    flipped[7] ^= 1;
    let file = path(&rotten);
    std::fs::remove_file(&file).expect("removed");
    std::fs::write(&file, flipped).expect("written");
    let verified = server.cli(&["verify"]);
    assert!(!verified.status.success(), "{verified:?}");
    eventually("those of the verification arrive", || {
        receiver.taken().len() >= 3
    });
    let told = receiver.taken();
    let told: Vec<_> = told.iter().map(|taken| taken.json()).collect();
    assert!(
        told.iter()
            .all(|event| event["type"] == "tarkeep.damage.found"),
        "{told:#?}"
    );
    let has = |repository: &serde_json::Value, blob: &[u8]| {
        told.iter().any(|event| {
            event["data"]["repository"] == *repository && event["data"]["digest"] == sha256(blob)
        })
    };
    assert!(has(&json!("app"), &lost), "{told:#?}");
    assert!(has(&json!(null), &rotten), "{told:#?}");
}

/// The tag may never have pointed there.
#[test]
fn a_restored_tag_is_told_as_restored() {
    let receiver = Receiver::start();
    let server = server(&format!("[{{name: all, url: '{}'}}]", receiver.url()));
    let client = &mut server.client();
    let (one, two) = (Image::small(1), Image::small(2));
    one.push(client, "app", "v1");
    two.push(client, "app", "v1");
    one.push(client, "app", "other");
    for (tag, image) in [("app:v1", &one), ("app:other", &two), ("app:new", &two)] {
        let restored = server.cli(&["tag", "restore", tag, "--to", &image.digest()]);
        assert!(restored.status.success(), "{restored:?}");
    }
    eventually("all arrive", || receiver.taken().len() >= 6);
    let told = receiver.taken();
    let told = told.iter().map(|taken| taken.json());
    let told: Vec<_> = told
        .map(|event| (event["type"].clone(), event["subject"].clone()))
        .collect();
    let restored = json!("tarkeep.image.restored");
    let expected = ["app:v1", "app:other", "app:new"].map(|tag| (restored.clone(), json!(tag)));
    assert_eq!(told[3..], expected, "{told:#?}");
}

/// Distribution compares the media type that it tells, and of what is deleted it tells none.
#[test]
fn ignored_media_types_leave_out_no_deletions() {
    let receiver = Receiver::start();
    let endpoints = json!([{
        "name": "a", "url": receiver.url(), "ignore": { "mediatypes": [OCI_MANIFEST, "application/octet-stream"] },
    }]);
    let server = Server::with(&[("REGISTRY_NOTIFICATIONS_ENDPOINTS", &endpoints.to_string())]);
    let (client, image) = (&mut server.client(), Image::small(1));
    image.push(client, "app", "v1");
    let path = format!("/v2/app/manifests/{}", image.digest());
    assert_eq!(client.delete(&path).status, 202);
    eventually("both deletions arrive", || receiver.taken().len() >= 2);
    let told = receiver.taken();
    let told = told.iter().map(|taken| taken.json()["events"][0].clone());
    let told: Vec<_> = told.map(|event| event["action"].clone()).collect();
    assert_eq!(told, ["delete", "delete"]);
}

/// Docker Hub has no images without a tag, and its receivers refuse them.
#[test]
fn docker_hubs_format_leaves_out_what_has_no_tag() {
    let receiver = Receiver::start();
    let server = server(&format!(
        "[{{name: all, url: '{}', format: dockerhub}}]",
        receiver.url()
    ));
    let (client, image) = (&mut server.client(), Image::small(1));
    image.push(client, "app", "v1");
    client.delete("/v2/app/manifests/v1");
    let path = format!("/v2/app/manifests/{}", image.digest());
    assert_eq!(client.delete(&path).status, 202);
    let restored = server.cli(&["restore", &format!("app@{}", image.digest())]);
    assert!(restored.status.success(), "{restored:?}");
    image.push(client, "app", "v2");
    eventually("both tags arrive", || receiver.taken().len() >= 2);
    let told = receiver.taken();
    let told = told
        .iter()
        .map(|taken| taken.json()["push_data"]["tag"].clone());
    assert_eq!(Vec::from_iter(told), ["v1", "v2"]);
    let database = rusqlite::Connection::open(server.directory().join("registry.db"));
    let database = database.expect("a database");
    let attempts = |states: &str| {
        let sql = format!("SELECT count(*) FROM attempts WHERE state {states}");
        database.query_row(&sql, [], |row| row.get::<_, i64>(0))
    };
    eventually("that is recorded", || attempts("= 1") == Ok(2));
    assert_eq!(attempts("<> 1"), Ok(0), "an attempt that could not be made");
}
