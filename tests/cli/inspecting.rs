//! `registry inspect`: how an image is run, its platforms with attestations, and what signs it.

use serde_json::{Value, json as value};

use super::{json, text};
use crate::support::{Client, OCI_INDEX, OCI_MANIFEST, Server, descriptor, noise, sha256};

/// Pushes an image whose config says how it is run; returns its manifest.
fn push_image(client: &mut Client, architecture: &str, seed: u64) -> String {
    let layer = noise(seed, 3000);
    let config = value!({
        "created": "2026-11-21T10:29:00.5Z", "architecture": architecture, "os": "linux",
        "config": {
            "Entrypoint": ["/bin/app"], "Cmd": ["--name", "two words"], "Env": ["PATH=/bin", "MODE=fast"],
            "Labels": { "org.opencontainers.image.source": "https://example.com/app" },
            "User": "1000", "WorkingDir": "/srv",
        },
    })
    .to_string();
    client.push_blob("app", &layer);
    client.push_blob("app", config.as_bytes());
    let manifest = value!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config.as_bytes()),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
    })
    .to_string();
    put(
        client,
        &sha256(manifest.as_bytes()),
        OCI_MANIFEST,
        &manifest,
    );
    manifest
}

fn put(client: &mut Client, reference: &str, media_type: &str, manifest: &str) {
    let pushed = client.put_manifest("app", reference, media_type, manifest.as_bytes());
    assert_eq!(pushed.status, 201, "{pushed:?}");
}

fn child(manifest: &str, extra: Value) -> Value {
    let mut child = descriptor(OCI_MANIFEST, manifest.as_bytes());
    let object = child.as_object_mut().expect("an object");
    object.extend(extra.as_object().expect("an object").clone());
    child
}

/// Pushes an index as buildx does, with a signature by tag and a referrer; returns the images and the attestation.
pub fn push_index(client: &mut Client) -> [String; 3] {
    let images = ["amd64", "arm64"].map(|architecture| {
        push_image(client, architecture, u64::from(architecture == "arm64") + 1)
    });
    client.push_blob("app", b"{}");
    let attestation = value!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [], "annotations": { "a": "b" },
        "config": descriptor("application/vnd.oci.image.config.v1+json", b"{}"),
    })
    .to_string();
    put(
        client,
        &sha256(attestation.as_bytes()),
        OCI_MANIFEST,
        &attestation,
    );
    let platform = |name: &str| value!({ "platform": { "os": "linux", "architecture": name } });
    let about = value!({
        "platform": { "os": "unknown", "architecture": "unknown" },
        "annotations": {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": sha256(images[0].as_bytes()),
        },
    });
    let index = value!({
        "schemaVersion": 2, "mediaType": OCI_INDEX,
        "manifests": [child(&images[0], platform("amd64")), child(&images[1], platform("arm64")), child(&attestation, about)],
    })
    .to_string();
    put(client, "v1", OCI_INDEX, &index);
    let signature = value!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [], "artifactType": "application/vnd.test.signature",
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
    });
    let tag = format!("{}.sig", sha256(index.as_bytes()).replace(':', "-"));
    put(client, &tag, OCI_MANIFEST, &signature.to_string());
    let mut referrer = signature;
    referrer["subject"] = descriptor(OCI_INDEX, index.as_bytes());
    let referrer = referrer.to_string();
    put(
        client,
        &sha256(referrer.as_bytes()),
        OCI_MANIFEST,
        &referrer,
    );
    let [amd, arm] = images;
    [amd, arm, attestation]
}

#[test]
fn an_index_shows_its_platforms_and_what_is_about_it() {
    let server = Server::start();
    let [amd, arm, attestation] = push_index(&mut server.client());
    let digest = |manifest: &str| sha256(manifest.as_bytes());
    let shown = json(&server, &["inspect", "app:v1"]);
    let children = shown["children"].as_array().expect("children");
    assert_eq!(children.len(), 2);
    for (child, (manifest, platform)) in children
        .iter()
        .zip([(&amd, "linux/amd64"), (&arm, "linux/arm64")])
    {
        assert_eq!(
            (&child["digest"], &child["platform"]),
            (&digest(manifest).into(), &platform.into())
        );
        let alone = json(&server, &["inspect", &format!("app@{}", digest(manifest))]);
        assert_eq!(child["size"], alone["size"], "sizes are by platform");
    }
    assert_eq!(children[0]["attestations"], value!([digest(&attestation)]));
    assert_eq!(children[1]["attestations"], value!([]));
    let signature = shown["signatures"][0]["tag"].as_str().expect("a tag");
    assert!(signature.ends_with(".sig"), "{signature}");
    assert_eq!(
        shown["referrers"][0]["artifactType"],
        "application/vnd.test.signature"
    );

    let printed = text(&server, &["inspect", "app:v1"]);
    let lines: Vec<_> = printed.lines().map(str::trim_start).collect();
    let platform = lines
        .iter()
        .position(|line| line.starts_with("linux/amd64"))
        .expect("a row");
    assert!(lines[platform + 1].starts_with("attestation"), "{printed}");
    assert!(lines[platform + 2].starts_with("linux/arm64"), "{printed}");
    assert!(
        printed.contains(signature) && printed.contains("application/vnd.test.signature"),
        "{printed}"
    );
    let terminal = server.at_terminal(&["inspect", "app:v1"], "");
    terminal.assert_fits();
    assert!(
        terminal
            .text
            .contains(&digest(&amd)["sha256:".len()..][..12])
    );
}

#[test]
fn an_image_shows_how_it_is_run() {
    let server = Server::start();
    let [amd, ..] = push_index(&mut server.client());
    let name = format!("app@{}", sha256(amd.as_bytes()));
    let shown = json(&server, &["inspect", &name]);
    assert_eq!(shown["created"], "2026-11-21T10:29:00.500Z");
    assert_eq!(
        shown["image"],
        value!({
            "entrypoint": ["/bin/app"], "command": ["--name", "two words"], "environment": ["PATH=/bin", "MODE=fast"],
            "labels": { "org.opencontainers.image.source": "https://example.com/app" },
            "runsAs": "1000", "workingDirectory": "/srv",
        })
    );
    let printed = text(&server, &["inspect", &name]);
    for line in [
        "Created        2026-11-21T10:29:00Z",
        "Entrypoint     /bin/app",
        "Command        --name 'two words'",
        "Environment    MODE=fast",
        "Label          org.opencontainers.image.source=https://example.com/app",
        "Runs as        1000",
        "Directory      /srv",
    ] {
        assert!(
            printed.lines().any(|shown| shown == line),
            "'{line}' in:\n{printed}"
        );
    }
    server.at_terminal(&["inspect", &name], "").assert_fits();
}
