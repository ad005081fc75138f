//! Deleting, twice, and what is there afterwards.

use super::{Script, manifests};
use crate::support::content::{OCI_INDEX, OCI_MANIFEST, sha256};

pub fn add(script: &mut Script) {
    manifests::content(script, "del/app");
    let manifest = manifests::oci().to_string();
    let own = sha256(manifest.as_bytes());
    for tag in ["one", "two"] {
        script.manifest(
            &format!("put-{tag}"),
            "del/app",
            tag,
            OCI_MANIFEST,
            manifest.as_bytes(),
        );
    }
    script.ask("tag", "DELETE", "/v2/del/app/manifests/one");
    script.ask("tag-again", "DELETE", "/v2/del/app/manifests/one");
    script
        .get("tag-get", "/v2/del/app/manifests/one")
        .header("Accept", OCI_MANIFEST);
    script
        .get("other-tag-get", "/v2/del/app/manifests/two")
        .header("Accept", OCI_MANIFEST);
    script.get("tags", "/v2/del/app/tags/list");
    script.ask("digest", "DELETE", format!("/v2/del/app/manifests/{own}"));
    script.ask(
        "digest-again",
        "DELETE",
        format!("/v2/del/app/manifests/{own}"),
    );
    script
        .get("digest-get", format!("/v2/del/app/manifests/{own}"))
        .header("Accept", OCI_MANIFEST);
    script
        .get("tag-of-digest-get", "/v2/del/app/manifests/two")
        .header("Accept", OCI_MANIFEST);
    script.get("tags-after", "/v2/del/app/tags/list");
    script.get(
        "layer-after",
        format!("/v2/del/app/blobs/{}", layer(&manifest)),
    );
    script.manifest(
        "put-again",
        "del/app",
        "three",
        OCI_MANIFEST,
        manifest.as_bytes(),
    );
    script
        .get("put-again-get", "/v2/del/app/manifests/three")
        .header("Accept", OCI_MANIFEST);
    script.ask(
        "layer-in-use",
        "DELETE",
        format!("/v2/del/app/blobs/{}", layer(&manifest)),
    );
    script.get(
        "layer-in-use-get",
        format!("/v2/del/app/blobs/{}", layer(&manifest)),
    );
    blobs(script);
    children(script, &manifest);
    script
        .ask("with-body", "DELETE", "/v2/del/app/manifests/three")
        .body(b"{}");
}

fn blobs(script: &mut Script) {
    let free = script.blob("free", "del/app", b"no manifest needs it");
    script.ask("blob", "DELETE", format!("/v2/del/app/blobs/{free}"));
    script.ask("blob-again", "DELETE", format!("/v2/del/app/blobs/{free}"));
    script.get("blob-get", format!("/v2/del/app/blobs/{free}"));
    script.ask("blob-head", "HEAD", format!("/v2/del/app/blobs/{free}"));
    script.blob("back", "del/app", b"no manifest needs it");
    script.get("back-get", format!("/v2/del/app/blobs/{free}"));
    for (name, path) in [
        ("absent-tag", "/v2/del/app/manifests/absent"),
        ("absent-repository", "/v2/del/absent/manifests/v1"),
        ("odd-tag", "/v2/del/app/manifests/.odd"),
        ("odd-digest", "/v2/del/app/manifests/sha256:abc"),
        ("repository", "/v2/del/absent/"),
        ("catalog", "/v2/_catalog"),
    ] {
        script.ask(name, "DELETE", path);
    }
}

fn children(script: &mut Script, manifest: &str) {
    manifests::content(script, "del/multi");
    script.manifest(
        "child",
        "del/multi",
        "child",
        OCI_MANIFEST,
        manifest.as_bytes(),
    );
    let child = serde_json::json!({"mediaType": OCI_MANIFEST, "digest": sha256(manifest.as_bytes()), "size": manifest.len()});
    let index =
        serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child]})
            .to_string();
    script.manifest("index", "del/multi", "index", OCI_INDEX, index.as_bytes());
    script.ask(
        "child-in-use",
        "DELETE",
        format!("/v2/del/multi/manifests/{}", sha256(manifest.as_bytes())),
    );
    script.ask(
        "index-digest",
        "DELETE",
        format!("/v2/del/multi/manifests/{}", sha256(index.as_bytes())),
    );
    script
        .get("index-get", "/v2/del/multi/manifests/index")
        .header("Accept", OCI_INDEX);
}

fn layer(manifest: &str) -> String {
    let manifest: serde_json::Value = serde_json::from_str(manifest).unwrap();
    manifest["layers"][0]["digest"].as_str().unwrap().to_owned()
}
