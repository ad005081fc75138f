//! podman, as Debian has it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::api::{list, text};
use crate::harness::sandbox::Sandbox;
use crate::support::content::{OCI_INDEX, OCI_MANIFEST, noise, sha256};

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The start of a command line that keeps its images in a store called `name`.
pub fn with_store(sandbox: &Sandbox, name: &str) -> String {
    let dir = sandbox.dir().display();
    format!(
        "podman --root {dir}/{name} --runroot {dir}/run/{name} --storage-driver vfs \
         --cgroup-manager cgroupfs"
    )
}

fn context(sandbox: &Sandbox) {
    sandbox.write("context/big", noise(2, 3 << 20));
    sandbox.write("context/amd64", "built for amd64\n");
    sandbox.write("context/arm64", "built for arm64\n");
    sandbox.write(
        "context/Dockerfile",
        "FROM scratch\nARG TARGETARCH\nCOPY big /big\nCOPY $TARGETARCH /arch\n",
    );
}

fn image_id(sandbox: &Sandbox, podman: &str, image: &str) -> String {
    let line = format!("{podman} image inspect --format {{{{.Id}}}} {image}");
    sandbox.run(line).line().to_owned()
}

/// The layers of an image as podman saves them, each checked against the image's config.
fn saved_layers(sandbox: &Sandbox, podman: &str, image: &str, dir: &str) -> Vec<Vec<u8>> {
    sandbox.run(format!(
        "{podman} save --quiet --format docker-dir --output {dir} {image}"
    ));
    let read = |digest: &str| sandbox.read(&format!("{dir}/{}", digest.replace("sha256:", "")));
    let manifest: Value =
        serde_json::from_slice(&sandbox.read(&format!("{dir}/manifest.json"))).unwrap();
    let config: Value =
        serde_json::from_slice(&read(&text(&manifest["config"]["digest"]))).unwrap();
    let layers: Vec<Vec<u8>> = list(&manifest["layers"])
        .iter()
        .map(|layer| read(&text(&layer["digest"])))
        .collect();
    let found: Vec<String> = layers.iter().map(|layer| sha256(layer)).collect();
    let expected: Vec<String> = list(&config["rootfs"]["diff_ids"])
        .iter()
        .map(text)
        .collect();
    assert_eq!(found, expected);
    layers
}

/// The manifest of an image in a store, as it was pulled.
fn stored_manifest(sandbox: &Sandbox, store: &str, id: &str) -> Vec<u8> {
    fs::read(
        sandbox
            .path(store)
            .join("vfs-images")
            .join(id)
            .join("manifest"),
    )
    .unwrap()
}

pub fn push_and_pull(sandbox: &Sandbox) {
    let podman = with_store(sandbox, "store");
    let fresh = with_store(sandbox, "fresh");
    context(sandbox);
    let image = format!("{}/team/app:v1", sandbox.server.host);
    sandbox.run(format!(
        "{podman} build --layers --platform linux/amd64 --tag {image} context"
    ));
    let id = image_id(sandbox, &podman, &image);
    let layers = saved_layers(sandbox, &podman, &image, "before");
    assert_eq!(layers.len(), 2);

    let push = format!("{podman} push --tls-verify=false --digestfile pushed");
    sandbox.run(format!("{push} {image}"));
    let manifest = sandbox.server.manifest("team/app", "v1");
    assert_eq!(manifest.digest.as_bytes(), sandbox.read("pushed"));
    assert_eq!(manifest.media_type, OCI_MANIFEST);
    assert_eq!(manifest.config(), format!("sha256:{id}"));
    assert_eq!(sandbox.server.content("team/app", "v1").len(), 4);

    // to another repository: the layers are mounted there
    sandbox.run(format!(
        "{push} {image} docker://{}/other/app:v2",
        sandbox.server.host
    ));
    assert_eq!(sandbox.server.manifest("other/app", "v2"), manifest);
    assert_eq!(sandbox.server.content("other/app", "v2").len(), 4);

    sandbox.run(format!("{fresh} pull --tls-verify=false {image}"));
    assert_eq!(image_id(sandbox, &fresh, &image), id);
    assert!(stored_manifest(sandbox, "fresh", &id) == manifest.bytes);
    assert!(saved_layers(sandbox, &fresh, &image, "after") == layers);
    let by_digest = format!("{}/other/app@{}", sandbox.server.host, manifest.digest);
    sandbox.run(format!("{fresh} pull --tls-verify=false {by_digest}"));

    let search = format!("{podman} search --tls-verify=false --format {{{{.Name}}}}");
    let found = sandbox
        .run(format!("{search} {}/app", sandbox.server.host))
        .stdout;
    let expected = ["other/app", "team/app"].map(|repo| format!("{}/{repo}", sandbox.server.host));
    assert_eq!(found.lines().collect::<Vec<_>>(), expected);
    let found = sandbox
        .run(format!(
            "{podman} search --tls-verify=false --list-tags {image}"
        ))
        .stdout;
    assert!(found.contains("v1"), "{found}");
}

pub fn multi_arch(sandbox: &Sandbox) {
    let podman = with_store(sandbox, "store");
    let fresh = with_store(sandbox, "fresh");
    context(sandbox);
    let name = format!("{}/team/app:multi", sandbox.server.host);
    sandbox.run(format!(
        "{podman} build --layers --platform linux/amd64,linux/arm64 --manifest {name} context"
    ));
    sandbox.run(format!(
        "{podman} manifest push --all --tls-verify=false --digestfile pushed {name} docker://{name}"
    ));
    let index = sandbox.server.manifest("team/app", "multi");
    assert_eq!(index.media_type, OCI_INDEX);
    assert_eq!(index.digest.as_bytes(), sandbox.read("pushed"));
    // the index, and for each platform a manifest, a config and a layer; one layer in common
    assert_eq!(sandbox.server.content("team/app", "multi").len(), 8);

    let children = index.children();
    assert_eq!(children.len(), 2);
    for arch in ["amd64", "arm64"] {
        let child = children
            .iter()
            .find(|child| child["platform"]["architecture"] == arch)
            .unwrap();
        let manifest = sandbox.server.manifest("team/app", &text(&child["digest"]));
        sandbox.run(format!(
            "{fresh} pull --tls-verify=false --arch {arch} {name}"
        ));
        let id = image_id(sandbox, &fresh, &name);
        assert_eq!(manifest.config(), format!("sha256:{id}"));
        assert!(stored_manifest(sandbox, "fresh", &id) == manifest.bytes);
        let layers = saved_layers(sandbox, &fresh, &name, arch);
        let own = String::from_utf8_lossy(&layers[1]).into_owned();
        assert!(own.contains(&format!("built for {arch}\n")));
    }
}

pub fn zstd_chunked(sandbox: &Sandbox) {
    let podman = with_store(sandbox, "store");
    let fresh = with_store(sandbox, "fresh");
    context(sandbox);
    let image = format!("{}/team/app:zstd", sandbox.server.host);
    sandbox.run(format!(
        "{podman} build --layers --platform linux/amd64 --tag {image} context"
    ));
    sandbox.run(format!(
        "{podman} push --tls-verify=false --compression-format zstd:chunked {image}"
    ));
    let manifest = sandbox.server.manifest("team/app", "zstd");
    for layer in list(&manifest.json()["layers"]) {
        assert!(text(&layer["mediaType"]).ends_with(".tar+zstd"), "{layer}");
        let annotation = &layer["annotations"]["io.containers.zstd-chunked.manifest-checksum"];
        assert!(annotation.is_string(), "{layer}");
        let blob = sandbox.server.blob("team/app", &text(&layer["digest"]));
        assert_eq!(blob[..4], ZSTD_MAGIC);
    }
    sandbox.run(format!("{fresh} pull --tls-verify=false {image}"));
    // podman cannot save such an image; but with this storage driver a mount is a directory
    let root = sandbox.run(format!("{fresh} image mount {image}"));
    for (file, source) in [("big", "big"), ("arch", "amd64")] {
        let unpacked = fs::read(Path::new(root.line()).join(file)).unwrap();
        assert!(unpacked == sandbox.read(&format!("context/{source}")));
    }
}
