//! Tag rules that could remove needed content.

use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::{
    Image, OCI_INDEX, OCI_MANIFEST, Server, descriptor, eventually, noise, sha256,
};

const POLICY: &str = "REGISTRY_POLICIES";

/// containerd resolves a tag by HEAD, then pulls by digest; so does docker.
#[test]
fn a_pull_by_digest_counts_for_its_tags_and_a_push_counts_as_a_pull() {
    let rules = "[{repositories: '**', tags: [{match: ['*'], pulled: 3s}]}]";
    let server = Server::with(&[(POLICY, rules), ("REGISTRY_GC_INTERVAL", "20ms")]);
    let client = &mut server.client();
    let (pulled, forgotten) = (Image::small(1), Image::small(2));
    pulled.push(client, "app", "pulled");
    forgotten.push(client, "app", "forgotten");
    let tags = |client: &mut crate::support::Client| {
        client.get("/v2/app/tags/list").json()["tags"].clone()
    };
    assert_eq!(tags(client), serde_json::json!(["forgotten", "pulled"]));
    eventually("what nobody pulls is removed", || {
        assert_eq!(client.head("/v2/app/manifests/pulled").status, 200);
        assert_eq!(
            client
                .get(&format!("/v2/app/manifests/{}", pulled.digest()))
                .status,
            200
        );
        tags(client) == serde_json::json!(["pulled"])
    });
    let listed: serde_json::Value =
        serde_json::from_slice(&server.cli(&["ls", "app", "--output", "json"]).stdout)
            .expect("JSON");
    assert!(
        listed["tags"][0]["pullCount"].as_u64() > Some(0)
            && listed["tags"][0]["pulled"].is_string(),
        "{listed}"
    );
}

#[test]
fn a_rule_that_keeps_nothing_must_say_so() {
    let directory = TempDir::new().expect("a directory");
    for (rules, complaint) in [
        (
            "[{repositories: '**', tags: [{match: ['*']}]}]",
            "has no condition",
        ),
        (
            "[{repositories: '**', tags: [{match: ['*'], newest: }]}]",
            "has no condition",
        ),
        (
            "[{repositories: '**', tags: [{match: ['*'], always: false}]}]",
            "has no condition",
        ),
        (
            "[{repositories: '**', tags: [{match: [], newest: 1}]}]",
            "matches no tag",
        ),
        ("[{repositories: '[a', tags: []}]", "not a pattern"),
        (
            "[{repositories: 'Team/*'}]",
            "in policies, the pattern 'Team/*' can match no repository: 'Team/a' is not a repository name",
        ),
        (
            "[{repositories: 'team/..'}]",
            "'team/..' can match no repository",
        ),
        (
            "[{repositories: 'team /**'}]",
            "'team /**' can match no repository",
        ),
        (
            "[{repositories: '**', immutable: ['v 1']}]",
            "'v 1' can match no tag",
        ),
        (
            "[{repositories: '**', tags: [{match: ['app:pr-*'], newest: 1}]}]",
            "'app:pr-*' can match no tag",
        ),
    ] {
        let config = directory.path().join("config.yml");
        std::fs::write(&config, format!("version: 0.1\npolicies: {rules}"))
            .expect("a configuration");
        let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
        command
            .arg("serve")
            .arg(&config)
            .arg("--data-dir")
            .arg(directory.path().join("data"));
        let output = command.stdout(Stdio::null()).output().expect("it runs");
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && printed.contains(complaint),
            "{rules}: {printed}"
        );
    }
}

/// Restoring an image brings its signatures back.
#[test]
fn an_image_is_restored_with_its_referrers() {
    let server = Server::start();
    let client = &mut server.client();
    let image = Image::small(1);
    image.push(client, "app", "latest");
    Image::small(2).push(client, "app", "other");
    client.push_blob("app", b"{}");
    let signature = serde_json::json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/x.signature",
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"), "layers": [],
        "subject": descriptor(OCI_MANIFEST, &image.manifest),
    });
    let signature = signature.to_string().into_bytes();
    assert_eq!(
        client
            .put_manifest("app", &sha256(&signature), OCI_MANIFEST, &signature)
            .status,
        201
    );
    assert_eq!(client.delete("/v2/app/").status, 202);
    let referrers = format!("/v2/app/referrers/{}", image.digest());
    assert_eq!(
        client.get(&referrers).json()["manifests"],
        serde_json::json!([])
    );
    assert!(server.cli(&["restore", "app:latest"]).status.success());
    image.assert_pulls(client, "app", "latest");
    assert_eq!(
        client.get(&referrers).json()["manifests"][0]["digest"],
        sha256(&signature)
    );
}

/// One client's long values must not break tables for others.
#[test]
fn long_client_values_are_cut_in_tables() {
    let server = Server::start();
    let client = &mut server.client();
    let image = Image::new("x", vec![noise(1, 10)]);
    image.push(client, "app", "latest");
    let mut child = descriptor(OCI_MANIFEST, &image.manifest);
    child["platform"] = serde_json::json!({ "os": "A".repeat(70_000), "architecture": "B" });
    let index =
        serde_json::json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child] })
            .to_string();
    assert_eq!(
        client
            .put_manifest("app", "evil", OCI_INDEX, index.as_bytes())
            .status,
        201
    );
    for arguments in [["ls", "app"], ["inspect", "app:evil"]] {
        let output = server.cli(&arguments);
        assert!(
            output.status.success() && !output.stdout.is_empty(),
            "{arguments:?}: {:?}",
            output.status
        );
    }
}

/// Without a terminal nobody can answer the question.
#[test]
fn removing_without_a_terminal_requires_yes() {
    let server = Server::start();
    let client = &mut server.client();
    Image::small(1).push(client, "app", "pr-1");
    for reference in ["app", "app:pr-*", "*:pr-1", "app:pr-1"] {
        let output = server.cli(&["rm", reference]);
        assert!(
            !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("--yes"),
            "{output:?}"
        );
    }
    assert_eq!(client.head("/v2/app/manifests/pr-1").status, 200);
    assert!(server.cli(&["rm", "app:pr-1", "--yes"]).status.success());
    assert_eq!(client.head("/v2/app/manifests/pr-1").status, 404);
}

/// The server collects on its own unless disabled.
#[test]
fn disabled_collection_collects_nothing() {
    for is_enabled in [true, false] {
        let rules = format!("{{enabled: {is_enabled}, interval: 5ms, lease: 0s, grace: 0s}}");
        let server = Server::with(&[("REGISTRY_GC", &rules)]);
        let path = format!(
            "/v2/app/blobs/{}",
            server.client().push_blob("app", b"needed by nobody")
        );
        // long enough for many passes
        let mut looks = (0..100).map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            server.client().head(&path).status
        });
        let is_gone = looks.any(|found| found == 404);
        assert_eq!(is_gone, is_enabled);
    }
}
