//! Docker Engine: push and pull.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::engines::buildkit::assert_attested;
use crate::harness::api::{list, text};
use crate::harness::engine;
use crate::harness::engine_version::Engine;
use crate::harness::fixture::gunzip;
use crate::harness::sandbox::Sandbox;
use crate::support::content::{noise, sha256};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

fn context(sandbox: &Sandbox) {
    sandbox.write("context/big", noise(1, 9 << 20));
    sandbox.write("context/small", "small\n");
    sandbox.write("context/amd64", "built for amd64\n");
    sandbox.write("context/arm64", "built for arm64\n");
    sandbox.write("context/Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY big /big\nCOPY small /etc/small\nCOPY $TARGETARCH /arch\n");
}

/// The digest that `docker push` ends with: `TAG: digest: sha256:… size: N`.
pub fn pushed(sandbox: &Sandbox, image: &str) -> (String, String) {
    let output = sandbox.run(format!("docker push {image}")).stdout;
    let digest = output
        .split_once("digest: ")
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .unwrap_or_else(|| panic!("no digest in:\n{output}"))
        .to_owned();
    (digest, output)
}

/// The layers of an image as the Engine saves them, each checked against the image's config.
fn saved_layers(sandbox: &Sandbox, image: &str, dir: &str) -> Vec<Vec<u8>> {
    fs::create_dir(sandbox.path(dir)).unwrap();
    sandbox.run(format!("docker save --output {dir}.tar {image}"));
    sandbox.run(format!("tar --extract --file {dir}.tar --directory {dir}"));
    let read = |name: &str| sandbox.read(Path::new(dir).join(name).to_str().unwrap());
    let manifest: Value = serde_json::from_slice(&read("manifest.json")).unwrap();
    let config: Value = serde_json::from_slice(&read(&text(&manifest[0]["Config"]))).unwrap();
    let layers: Vec<Vec<u8>> = list(&manifest[0]["Layers"])
        .iter()
        .map(|name| unpacked(read(&text(name))))
        .collect();
    let found: Vec<String> = layers.iter().map(|layer| sha256(layer)).collect();
    let expected: Vec<String> = list(&config["rootfs"]["diff_ids"])
        .iter()
        .map(text)
        .collect();
    assert_eq!(found, expected);
    layers
}

/// A layer as it is in containerd's store, where it is compressed, or in the store of 20.10.
fn unpacked(layer: Vec<u8>) -> Vec<u8> {
    if layer.starts_with(&GZIP_MAGIC) {
        gunzip(&layer)
    } else {
        layer
    }
}

pub fn push_and_pull(sandbox: &Sandbox) {
    let _engine = engine::start(sandbox);
    context(sandbox);
    let host = &sandbox.server.host;
    let image = format!("{host}/team/app:v1");
    let id = sandbox.run(format!("docker build --quiet --tag {image} context"));
    let id = id.line();
    let layers = saved_layers(sandbox, &image, "before");
    assert_eq!(layers.len(), 3);

    let (digest, _) = pushed(sandbox, &image);
    let manifest = sandbox.server.manifest("team/app", "v1");
    assert_eq!(manifest.digest, digest);
    assert_eq!(manifest.media_type, sandbox.engine.manifest_type());
    assert_eq!(sandbox.engine.image_id(&manifest), id);
    // every blob is there, and what its digest says
    assert_eq!(sandbox.server.content("team/app", &digest).len(), 5);

    let (again, output) = pushed(sandbox, &image);
    assert_eq!(again, digest);
    assert_eq!(
        output.matches("Layer already exists").count(),
        3,
        "{output}"
    );

    sandbox.run(format!("docker tag {image} {host}/team/app:v2"));
    assert_eq!(pushed(sandbox, &format!("{host}/team/app:v2")).0, digest);
    assert_eq!(sandbox.server.tags("team/app"), ["v1", "v2"]);

    sandbox.run(format!("docker tag {image} {host}/other/app:v1"));
    let (mounted, output) = pushed(sandbox, &format!("{host}/other/app:v1"));
    assert_eq!(mounted, digest);
    assert_eq!(
        output.matches("Mounted from team/app").count(),
        3,
        "{output}"
    );
    assert_eq!(sandbox.server.content("other/app", "v1").len(), 5);

    let found = sandbox
        .run(format!("docker search --format {{{{.Name}}}} {host}/app"))
        .stdout;
    assert_eq!(found.lines().collect::<Vec<_>>(), ["other/app", "team/app"]);

    sandbox.run(format!("docker image rm --force {id}"));
    assert_eq!(sandbox.run("docker image ls --all --quiet").line(), "");
    sandbox.run(format!("docker pull {image}"));
    let inspected = sandbox.run(format!("docker image inspect {image}")).json();
    assert_eq!(inspected[0]["Id"], id);
    assert_eq!(
        inspected[0]["RepoDigests"],
        serde_json::json!([format!("{host}/team/app@{digest}")])
    );
    assert!(saved_layers(sandbox, &image, "after") == layers);
    sandbox.run(format!("docker pull {host}/other/app@{digest}"));
    sandbox.refused(format!("docker pull {host}/team/app:absent"));
}

pub fn multi_arch(sandbox: &Sandbox) {
    let _engine = engine::start(sandbox);
    context(sandbox);
    let list_name = format!("{}/team/app:multi", sandbox.server.host);
    let names = ["amd64", "arm64"].map(|arch| {
        let image = format!("{}/team/app:{arch}", sandbox.server.host);
        sandbox.run(format!(
            "docker build --quiet --platform linux/{arch} --tag {image} context"
        ));
        pushed(sandbox, &image);
        image
    });
    let ids = names.clone().map(|image| id_of(sandbox, &image));
    assert_ne!(ids[0], ids[1]);

    let manifest = "docker manifest";
    sandbox.run(format!(
        "{manifest} create --insecure {list_name} {}",
        names.join(" ")
    ));
    let digest = sandbox.run(format!("{manifest} push --insecure --purge {list_name}"));
    let list = sandbox.server.manifest("team/app", "multi");
    assert_eq!(list.digest, digest.line());
    assert_eq!(list.media_type, sandbox.engine.list_type());
    let platforms: Vec<String> = list
        .children()
        .iter()
        .map(|child| text(&child["platform"]["architecture"]))
        .collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
    let shown = sandbox
        .run(format!("{manifest} inspect --insecure {list_name}"))
        .json();
    assert_eq!(shown, list.json());

    sandbox.run(format!("docker image rm --force {} {}", ids[0], ids[1]));
    for (arch, id) in ["amd64", "arm64"].iter().zip(&ids) {
        sandbox.run(format!("docker pull --platform linux/{arch} {list_name}"));
        assert_eq!(architecture(sandbox, arch, &list_name), *arch);
        // what 29 names by it is the list
        if sandbox.engine == Engine::Debian {
            assert_eq!(id_of(sandbox, &list_name), *id);
        }
    }
}

/// Returns the architecture of an image that was pulled for `arch`, of which 29 may have several.
fn architecture(sandbox: &Sandbox, arch: &str, image: &str) -> String {
    let platform = match sandbox.engine {
        Engine::Debian => String::new(),
        Engine::V29 => format!("--platform linux/{arch}"),
    };
    let shown = sandbox.run(format!(
        "docker image inspect {platform} --format {{{{.Architecture}}}} {image}"
    ));
    shown.line().to_owned()
}

fn id_of(sandbox: &Sandbox, image: &str) -> String {
    let shown = sandbox.run(format!("docker image inspect --format {{{{.Id}}}} {image}"));
    shown.line().to_owned()
}

/// Images for two platforms with provenance, pushed by BuildKit, then by the engine out of its store.
pub fn attested_multi_arch(sandbox: &Sandbox) {
    let _engine = engine::start(sandbox);
    context(sandbox);
    let host = &sandbox.server.host;
    let build = "docker buildx build --platform linux/amd64,linux/arm64 --provenance mode=max --metadata-file built.json";
    let by_buildkit = format!("{host}/team/app:buildkit");
    sandbox.run(format!("{build} --push --tag {by_buildkit} context"));
    let built: Value = serde_json::from_slice(&sandbox.read("built.json")).unwrap();
    let index = sandbox.server.manifest("team/app", "buildkit");
    assert_eq!(index.digest, text(&built["containerimage.digest"]));
    assert_attested(sandbox, &index);

    let by_engine = format!("{host}/other/app:engine");
    sandbox.run(format!("{build} --tag {by_engine} context"));
    let (digest, _) = pushed(sandbox, &by_engine);
    let index = sandbox.server.manifest("other/app", "engine");
    assert_eq!(index.digest, digest);
    assert_eq!(index.children().len(), 4);
    sandbox.server.content("other/app", "engine");

    sandbox.run(format!("docker image rm --force {by_engine}"));
    for arch in ["amd64", "arm64"] {
        sandbox.run(format!("docker pull --platform linux/{arch} {by_buildkit}"));
        assert_eq!(architecture(sandbox, arch, &by_buildkit), arch);
    }
}
