//! Hostile input: names, labels and annotations are shown as text, within bounds.

use serde_json::json;

use super::text;
use crate::support::{OCI_MANIFEST, Server, sha256};

const SCRIPT: &str = "</td><script>alert('x')</script><img src=x onerror=alert(1)>\" style=\"x";

#[test]
fn text_of_clients_is_text() {
    let server = Server::start();
    let mut client = server.client();
    let long = "x".repeat(1 << 20);
    let config = json!({
        "architecture": "amd64", "os": SCRIPT, "created": SCRIPT,
        "config": {
            "Cmd": [SCRIPT], "Env": [SCRIPT, format!("LONG={long}")], "User": SCRIPT, "WorkingDir": "\u{202e}/srv",
            "Labels": { SCRIPT: SCRIPT, "org.opencontainers.image.url": "javascript:alert(1)",
                        "org.opencontainers.image.source": "https://git.example/a" },
        },
        "rootfs": { "type": "layers", "diff_ids": [sha256(b"layer")] },
        "history": [{ "created_by": SCRIPT }],
    })
    .to_string();
    let config_digest = client.push_blob("app", config.as_bytes());
    let layer = client.push_blob("app", b"layer");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": config.len() },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": 5,
                     "annotations": { "org.opencontainers.image.title": SCRIPT } }],
        "annotations": { "a": SCRIPT, "b": long },
    })
    .to_string();
    let pushed = client.request("PUT", "/v2/app/manifests/v1");
    let pushed = pushed.header("Content-Type", OCI_MANIFEST);
    let pushed = pushed
        .header("User-Agent", SCRIPT)
        .body(manifest.as_bytes())
        .send();
    assert_eq!(pushed.status, 201);
    for path in [
        "/ui/",
        "/ui/repositories/app",
        "/ui/images/app/v1",
        "/ui/history/app/v1",
        "/ui/activity",
        "/ui/compare?from=app:v1&to=app:v1",
    ] {
        let answer = client.get(path);
        assert_eq!(answer.status, 200, "{path}");
        let page = text(&answer);
        assert!(page.len() < 100_000, "{path}: {}", page.len());
        for forbidden in [
            "<script>",
            "<img",
            "\u{202e}",
            "href=\"javascript",
            " style=\"x",
        ] {
            assert!(!page.contains(forbidden), "{path} has {forbidden}");
        }
    }
    let image = text(&client.get("/ui/images/app/v1"));
    assert!(image.contains("href=\"https://git.example/a\""), "{image}");
    assert!(image.contains("javascript:alert(1)"), "as text");
    assert!(image.contains("\\u{202e}/srv"), "spelled out");
}

/// Addresses that a page repeats are text, too.
#[test]
fn text_of_the_address_is_text() {
    let server = Server::start();
    let mut client = server.client();
    crate::support::Image::small(1).push(&mut client, "app", "v1");
    let script = "%3Cscript%3Ealert(1)%3C/script%3E%22%20style=";
    for path in [
        format!("/ui/?repositories={script}"),
        format!("/ui/?repositories={script}*"),
        format!("/ui/repositories/app?tags={script}"),
        format!("/ui/{script}"),
        format!("/ui/images/app/{script}"),
        format!("/ui/activity?who={script}&repository={script}"),
        format!("/ui/compare?from={script}&to=app:v1"),
    ] {
        let page = text(&client.get(&path));
        assert!(
            !page.contains("<script>") && !page.contains("\" style="),
            "{path}: {page}"
        );
    }
    let host = client
        .request("GET", "/ui/")
        .header("X-Forwarded-Host", "x\"><script>")
        .send();
    assert!(!text(&host).contains("<script>"));
}
