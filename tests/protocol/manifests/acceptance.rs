//! Acceptance rules beyond the specification: distribution's `validation` and `policy.repository`.

use serde_json::{Value, json};

use crate::protocol::{CONFIG, DOCKER_MANIFEST, LAYER, index, pointer, put};
use crate::support::{Client, OCI_MANIFEST, Server, descriptor};

const FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/// Pushes the content of an image whose layer also names `url`; returns the manifest.
fn image_with_url(client: &mut Client, layer_type: &str, url: &str) -> Value {
    client.push_blob("a", b"{}");
    client.push_blob("a", b"layer");
    let mut layer = descriptor(layer_type, b"layer");
    layer["urls"] = json!(["https://example.com/first", url]);
    json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(CONFIG, b"{}"), "layers": [layer] })
}

/// Statuses of pushes of layers with an allowed URL, a denied one, and one that no rule allows.
fn statuses(environment: &[(&str, &str)]) -> [u16; 3] {
    let server = Server::with(environment);
    let mut client = server.client();
    [
        "https://example.com/good",
        "https://example.com/evil",
        "https://example.org/other",
    ]
    .map(|url| {
        let answers = [LAYER, FOREIGN].map(|layer_type| {
            let manifest = image_with_url(&mut client, layer_type, url);
            let answer = put(&mut client, "a", "v1", &manifest);
            if answer.status != 201 {
                answer.refused(400, "MANIFEST_INVALID");
                assert!(
                    answer.json()["errors"][0]["message"]
                        .as_str()
                        .is_some_and(|message| message.contains("https://")),
                    "{answer:?}"
                );
            }
            answer.status
        });
        assert_eq!(answers[0], answers[1]);
        answers[0]
    })
}

#[test]
fn layer_urls_follow_the_validation_rules() {
    const ALLOW: (&str, &str) = (
        "REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW",
        "['^https?://example\\.com/']",
    );
    const DENY: (&str, &str) = (
        "REGISTRY_VALIDATION_MANIFESTS_URLS_DENY",
        "['evil', '(?i)WORSE']",
    );
    const DISABLED: (&str, &str) = ("REGISTRY_VALIDATION_DISABLED", "true");
    assert_eq!(statuses(&[]), [201, 201, 201]);
    assert_eq!(statuses(&[ALLOW]), [201, 201, 400]);
    assert_eq!(statuses(&[DENY]), [201, 400, 201]);
    assert_eq!(statuses(&[ALLOW, DENY]), [201, 400, 400]);
    assert_eq!(statuses(&[ALLOW, DENY, DISABLED]), [201, 201, 201]);
    // deny overrides allow, as in distribution
    const ENABLED: (&str, &str) = ("REGISTRY_VALIDATION_ENABLED", "true");
    assert_eq!(statuses(&[ALLOW, DENY, DISABLED, ENABLED]), [201, 400, 400]);
    assert_eq!(statuses(&[ENABLED]), [400, 400, 400]);
}

#[test]
fn children_of_an_index_may_be_missing_if_configured() {
    let of = |os: &str, architecture: &str| {
        let mut child = descriptor(OCI_MANIFEST, format!("never pushed: {os}").as_bytes());
        child["platform"] = json!({ "os": os, "architecture": architecture });
        child
    };
    let bare = descriptor(OCI_MANIFEST, b"without a platform");
    let list = [
        ("REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS", "list"),
        (
            "REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST",
            "[{os: linux, architecture: amd64}]",
        ),
    ];
    let cases = [
        (&list[..0], [400; 4]),
        (&list, [400, 201, 201, 201]),
        (&list[..1], [400; 4]),
        (
            &[("REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS", "none")],
            [201; 4],
        ),
        (&[("REGISTRY_VALIDATION_DISABLED", "true")], [201; 4]),
    ];
    for (environment, expected) in cases {
        let server = Server::with(environment);
        let mut client = server.client();
        let children = [
            of("linux", "amd64"),
            of("linux", "arm64"),
            of("windows", "amd64"),
            bare.clone(),
        ];
        let answers = children.map(|child| put(&mut client, "a", "v1", &index(&[child])));
        assert_eq!(
            answers.each_ref().map(|answer| answer.status),
            expected,
            "{environment:?}"
        );
        answers
            .iter()
            .filter(|answer| answer.status != 201)
            .for_each(|answer| answer.refused(400, "MANIFEST_BLOB_UNKNOWN"));
        // blobs of an image must still exist
        put(
            &mut client,
            "a",
            "v2",
            &crate::protocol::image(b"{}", &[b"missing"]),
        )
        .refused(400, "MANIFEST_BLOB_UNKNOWN");
    }
}

/// A child that may be missing is protected once pushed, as in sparse manifests.
#[test]
fn a_missing_child_pushed_later_is_protected() {
    let server = Server::with(&[("REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS", "none")]);
    let mut client = server.client();
    client.push_blob("a", b"{}");
    let child = crate::protocol::image(b"{}", &[]);
    let parent = crate::protocol::push(&mut client, "a", "v1", &index(&[pointer(&child)]));
    let child = crate::protocol::push(&mut client, "a", "child", &child);
    let path = format!("/v2/a/manifests/{child}");
    client.delete(&path).refused(405, "DENIED");
    assert_eq!(
        client.delete(&format!("/v2/a/manifests/{parent}")).status,
        202
    );
    // a restore does not apply the rule for children again
    assert!(
        server
            .cli(&["restore", &format!("a@{parent}")])
            .status
            .success()
    );
    client.delete(&path).refused(405, "DENIED");
}

#[test]
fn only_the_configured_classes_are_accepted() {
    for (classes, expected) in [
        ("[image]", [201, 201, 403, 403]),
        ("[plugin]", [403, 403, 201, 403]),
        ("[image, plugin]", [201, 201, 201, 403]),
        ("[]", [201; 4]),
    ] {
        let server = Server::with(&[("REGISTRY_POLICY_REPOSITORY_CLASSES", classes)]);
        let mut client = server.client();
        client.push_blob("a", b"{}");
        let types = [
            (OCI_MANIFEST, CONFIG),
            (
                DOCKER_MANIFEST,
                "application/vnd.docker.container.image.v1+json",
            ),
            (DOCKER_MANIFEST, "application/vnd.docker.plugin.v1+json"),
            (OCI_MANIFEST, "application/vnd.cncf.helm.config.v1+json"),
        ];
        let statuses = types.map(|(media_type, config)| {
            let manifest = json!({ "schemaVersion": 2, "mediaType": media_type, "config": descriptor(config, b"{}"), "layers": [] });
            let answer = put(&mut client, "a", "v1", &manifest);
            if answer.status != 201 {
                answer.refused(403, "DENIED");
            }
            answer.status
        });
        assert_eq!(statuses, expected, "{classes}");
        assert_eq!(
            put(&mut client, "a", "v2", &index(&[])).status,
            201,
            "an index is of no class"
        );
    }
}

#[test]
fn an_invalid_regular_expression_is_reported_at_start() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let mut command = crate::support::server::command(&directory.path().join("data"));
    let output = command
        .env("REGISTRY_VALIDATION_MANIFESTS_URLS_DENY", "['https://(']")
        .output()
        .expect("the command runs");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && message.contains("validation.manifests.urls.deny"),
        "{message}"
    );
    assert_eq!(message.trim_end().lines().count(), 1, "{message}");
}
