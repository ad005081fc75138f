//! The kinds of manifests that real tools push.

use serde_json::{Value, json};

use crate::protocol::{
    CONFIG, DOCKER_LIST, DOCKER_MANIFEST, EMPTY, LAYER, digest_of, image, index, media_type,
    pointer, push, push_image, put,
};
use crate::support::{Client, OCI_INDEX, OCI_MANIFEST, Server, descriptor, sha256};

/// Pushes a manifest and asserts that it is returned unchanged.
fn round_trip(client: &mut Client, repository: &str, manifest: &Value) {
    let digest = push(client, repository, "latest", manifest);
    for reference in ["latest", &digest] {
        let got = client.get(&format!("/v2/{repository}/manifests/{reference}"));
        assert_eq!(got.body, manifest.to_string().into_bytes());
        assert_eq!(got.header("content-type"), Some(media_type(manifest)));
    }
}

fn with_platform(mut descriptor: Value, os: &str, architecture: &str) -> Value {
    descriptor["platform"] =
        json!({ "os": os, "architecture": architecture, "os.version": "10.0" });
    descriptor
}

#[test]
fn docker_images_and_lists() {
    let server = Server::start();
    let mut client = server.client();
    let (config_type, layer_type) = (
        "application/vnd.docker.container.image.v1+json",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    );
    client.push_blob("docker", b"{\"os\":\"linux\"}");
    client.push_blob("docker", b"a layer");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": descriptor(config_type, b"{\"os\":\"linux\"}"),
        "layers": [descriptor(layer_type, b"a layer"), descriptor(layer_type, b"a layer")],
    });
    round_trip(&mut client, "docker", &manifest);
    let children = [with_platform(pointer(&manifest), "linux", "amd64")];
    round_trip(
        &mut client,
        "docker",
        &json!({ "schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": children }),
    );
}

#[test]
fn indexes_with_attestations_and_indexes_of_indexes() {
    let server = Server::start();
    let mut client = server.client();
    let one = push_image(&mut client, "multi", "one", "amd64");
    let statement = b"{\"_type\":\"https://in-toto.io/Statement/v0.1\"}";
    client.push_blob("multi", statement);
    client.push_blob("multi", b"{}");
    let mut attestation = image(b"{}", &[]);
    attestation["layers"] = json!([descriptor("application/vnd.in-toto+json", statement)]);
    let attestation_digest = push(&mut client, "multi", &digest_of(&attestation), &attestation);
    let mut attached = with_platform(pointer(&attestation), "unknown", "unknown");
    attached["annotations"] = json!({ "vnd.docker.reference.digest": digest_of(&one), "vnd.docker.reference.type": "attestation-manifest" });
    let inner = index(&[with_platform(pointer(&one), "linux", "amd64"), attached]);
    round_trip(&mut client, "multi", &inner);
    let outer = index(&[pointer(&inner), pointer(&one)]);
    round_trip(&mut client, "multi", &outer);
    round_trip(&mut client, "multi", &index(&[pointer(&outer)]));
    round_trip(&mut client, "multi", &index(&[]));
    assert_eq!(
        client
            .head(&format!("/v2/multi/manifests/{attestation_digest}"))
            .status,
        200
    );
}

#[test]
fn artifacts_of_any_type() {
    let server = Server::start();
    let mut client = server.client();
    for content in [&b"{}"[..], b"chart", b"sbom"] {
        client.push_blob("things", content);
    }
    let helm = json!({
        "schemaVersion": 2, "config": descriptor("application/vnd.cncf.helm.config.v1+json", b"{}"), "mediaType": OCI_MANIFEST,
        "layers": [descriptor("application/vnd.cncf.helm.chart.content.v1.tar+gzip", b"chart")],
    });
    let empty_config = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/x-anything",
        "config": { "mediaType": EMPTY, "digest": sha256(b"{}"), "size": 2, "data": "e30=" }, "layers": [descriptor("text/spdx", b"sbom")],
        "annotations": { "org.example.key": "\u{1f980} value" },
    });
    let artifact_manifest = json!({
        "mediaType": "application/vnd.oci.artifact.manifest.v1+json", "artifactType": "application/x",
        "blobs": [descriptor("text/spdx", b"sbom")],
    });
    let unheard_of = json!({ "mediaType": "application/vnd.example.thing.v9+json", "whatever": [1, { "two": null }] });
    for manifest in [helm, empty_config, artifact_manifest, unheard_of] {
        round_trip(&mut client, "things", &manifest);
    }
}

/// An index, or a Docker list, whose "manifests" are layers and a cache config.
#[test]
fn build_caches_with_blobs_as_children() {
    let server = Server::start();
    let mut client = server.client();
    let cache_config = b"{\"layers\":[{\"blob\":\"x\"}]}";
    client.push_blob("cache", b"layer 1");
    client.push_blob("cache", b"layer 2");
    client.push_blob("cache", cache_config);
    let children = json!([
        descriptor(LAYER, b"layer 1"),
        descriptor(LAYER, b"layer 2"),
        descriptor("application/vnd.buildkit.cacheconfig.v0", cache_config)
    ]);
    for kind in [OCI_INDEX, DOCKER_LIST] {
        let cache = json!({ "schemaVersion": 2, "mediaType": kind, "manifests": children });
        round_trip(&mut client, "cache", &cache);
        client
            .delete(&format!("/v2/cache/blobs/{}", sha256(b"layer 1")))
            .refused(405, "DENIED");
    }
    let incomplete = index(&[
        descriptor(LAYER, b"layer 1"),
        descriptor(LAYER, b"never pushed"),
    ]);
    put(&mut client, "cache", "latest", &incomplete).refused(400, "MANIFEST_BLOB_UNKNOWN");
}

#[test]
fn missing_references_are_refused_and_all_listed() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("a", b"here");
    client.push_blob("elsewhere", b"not here");
    let missing = |response: crate::support::Response| -> Vec<String> {
        response.refused(400, "MANIFEST_BLOB_UNKNOWN");
        let detail = response.json()["errors"][0]["detail"].clone();
        let mut digests: Vec<_> = detail
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["digest"].as_str().unwrap().to_owned())
            .collect();
        digests.sort();
        digests
    };
    let expected = |contents: &[&[u8]]| {
        let mut digests: Vec<_> = contents.iter().map(|content| sha256(content)).collect();
        digests.sort();
        digests
    };
    let manifest = image(
        b"no config",
        &[b"here", b"no layer", b"not here", b"no layer"],
    );
    assert_eq!(
        missing(put(&mut client, "a", "v1", &manifest)),
        expected(&[b"no config", b"no layer", b"not here"])
    );
    let children = index(&[
        descriptor(OCI_MANIFEST, b"no child"),
        descriptor(OCI_INDEX, b"nor this"),
    ]);
    assert_eq!(
        missing(put(&mut client, "a", "v1", &children)),
        expected(&[b"no child", b"nor this"])
    );
    client.get("/v2/a/tags/list").refused(404, "NAME_UNKNOWN");
    assert_eq!(client.get("/v2/_catalog").json()["repositories"], json!([]));

    // a manifest of another repository counts as absent, as does a blob
    let image = push_image(&mut client, "elsewhere", "v1", "x");
    assert_eq!(
        missing(put(&mut client, "a", "v1", &index(&[pointer(&image)]))),
        vec![digest_of(&image)]
    );
}

#[test]
fn foreign_layers_may_be_absent() {
    let server = Server::start();
    let mut client = server.client();
    client.push_blob("windows", b"{}");
    for kind in [
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    ] {
        let mut layer = descriptor(kind, b"a licence forbids this");
        layer["urls"] = json!(["https://example.com/layer"]);
        let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(CONFIG, b"{}"), "layers": [layer.clone()] });
        round_trip(&mut client, "windows", &manifest);
        layer["mediaType"] = LAYER.into();
        let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(CONFIG, b"{}"), "layers": [layer] });
        put(&mut client, "windows", "v2", &manifest).refused(400, "MANIFEST_BLOB_UNKNOWN");
    }
}
