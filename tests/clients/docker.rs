//! Docker Engine, as Debian has it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::bench::{Bench, Daemon};
use crate::content::{DOCKER_LIST, DOCKER_MANIFEST, noise, sha256};
use crate::server::{list, text};

/// Neither iptables nor a bridge: no container is run, and the machine's network is left alone.
pub fn engine(bench: &Bench) -> Daemon {
    let dir = bench.dir().display();
    let socket = format!("unix://{dir}/docker.sock");
    bench.set("DOCKER_HOST", &socket);
    bench.set("DOCKER_BUILDKIT", "1");
    bench.daemon(
        format!(
            "dockerd --iptables=false --ip6tables=false --bridge=none --host {socket} \
             --data-root {dir}/docker --exec-root {dir}/exec --pidfile {dir}/docker.pid"
        ),
        "docker version",
    )
}

fn context(bench: &Bench) {
    bench.write("context/big", noise(1, 9 << 20));
    bench.write("context/small", "small\n");
    bench.write("context/amd64", "built for amd64\n");
    bench.write("context/arm64", "built for arm64\n");
    bench.write("context/Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY big /big\nCOPY small /etc/small\nCOPY $TARGETARCH /arch\n");
}

/// The digest that `docker push` ends with: `TAG: digest: sha256:… size: N`.
pub fn pushed(bench: &Bench, image: &str) -> (String, String) {
    let output = bench.run(format!("docker push {image}")).stdout;
    let digest = output
        .split_once("digest: ")
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .unwrap_or_else(|| panic!("no digest in:\n{output}"))
        .to_owned();
    (digest, output)
}

/// The layers of an image as the Engine saves them, each checked against the image's config.
fn saved_layers(bench: &Bench, image: &str, dir: &str) -> Vec<Vec<u8>> {
    fs::create_dir(bench.path(dir)).unwrap();
    bench.run(format!("docker save --output {dir}.tar {image}"));
    bench.run(format!("tar --extract --file {dir}.tar --directory {dir}"));
    let read = |name: &str| bench.read(Path::new(dir).join(name).to_str().unwrap());
    let manifest: Value = serde_json::from_slice(&read("manifest.json")).unwrap();
    let config: Value = serde_json::from_slice(&read(&text(&manifest[0]["Config"]))).unwrap();
    let layers: Vec<Vec<u8>> = list(&manifest[0]["Layers"])
        .iter()
        .map(|name| read(&text(name)))
        .collect();
    let found: Vec<String> = layers.iter().map(|layer| sha256(layer)).collect();
    let wanted: Vec<String> = list(&config["rootfs"]["diff_ids"])
        .iter()
        .map(text)
        .collect();
    assert_eq!(found, wanted);
    layers
}

pub fn push_and_pull(bench: &Bench) {
    let _engine = engine(bench);
    context(bench);
    let host = &bench.server.host;
    let image = format!("{host}/team/app:v1");
    let id = bench.run(format!("docker build --quiet --tag {image} context"));
    let id = id.line();
    let layers = saved_layers(bench, &image, "before");
    assert_eq!(layers.len(), 3);

    let (digest, _) = pushed(bench, &image);
    let manifest = bench.server.manifest("team/app", "v1");
    assert_eq!(manifest.digest, digest);
    assert_eq!(manifest.media_type, DOCKER_MANIFEST);
    assert_eq!(manifest.config(), id);
    // every blob is there, and what its digest says
    assert_eq!(bench.server.content("team/app", &digest).len(), 5);

    let (again, output) = pushed(bench, &image);
    assert_eq!(again, digest);
    assert_eq!(
        output.matches("Layer already exists").count(),
        3,
        "{output}"
    );

    bench.run(format!("docker tag {image} {host}/team/app:v2"));
    assert_eq!(pushed(bench, &format!("{host}/team/app:v2")).0, digest);
    assert_eq!(bench.server.tags("team/app"), ["v1", "v2"]);

    bench.run(format!("docker tag {image} {host}/other/app:v1"));
    let (mounted, output) = pushed(bench, &format!("{host}/other/app:v1"));
    assert_eq!(mounted, digest);
    assert_eq!(
        output.matches("Mounted from team/app").count(),
        3,
        "{output}"
    );
    assert_eq!(bench.server.content("other/app", "v1").len(), 5);

    let found = bench
        .run(format!("docker search --format {{{{.Name}}}} {host}/app"))
        .stdout;
    assert_eq!(found.lines().collect::<Vec<_>>(), ["other/app", "team/app"]);

    bench.run(format!("docker image rm --force {id}"));
    assert_eq!(bench.run("docker image ls --all --quiet").line(), "");
    bench.run(format!("docker pull {image}"));
    let inspected = bench.run(format!("docker image inspect {image}")).json();
    assert_eq!(inspected[0]["Id"], id);
    assert_eq!(
        inspected[0]["RepoDigests"],
        serde_json::json!([format!("{host}/team/app@{digest}")])
    );
    assert!(saved_layers(bench, &image, "after") == layers);
    bench.run(format!("docker pull {host}/other/app@{digest}"));
    bench.refused(format!("docker pull {host}/team/app:absent"));
}

pub fn multi_arch(bench: &Bench) {
    let _engine = engine(bench);
    context(bench);
    let list_name = format!("{}/team/app:multi", bench.server.host);
    let names = ["amd64", "arm64"].map(|arch| {
        let image = format!("{}/team/app:{arch}", bench.server.host);
        bench.run(format!(
            "docker build --quiet --platform linux/{arch} --tag {image} context"
        ));
        pushed(bench, &image);
        image
    });
    let ids = names.clone().map(|image| id_of(bench, &image));
    assert_ne!(ids[0], ids[1]);

    let manifest = "docker manifest";
    bench.run(format!(
        "{manifest} create --insecure {list_name} {}",
        names.join(" ")
    ));
    let digest = bench.run(format!("{manifest} push --insecure --purge {list_name}"));
    let list = bench.server.manifest("team/app", "multi");
    assert_eq!(list.digest, digest.line());
    assert_eq!(list.media_type, DOCKER_LIST);
    let platforms: Vec<String> = list
        .children()
        .iter()
        .map(|child| text(&child["platform"]["architecture"]))
        .collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
    let shown = bench
        .run(format!("{manifest} inspect --insecure {list_name}"))
        .json();
    assert_eq!(shown, list.json());

    bench.run(format!("docker image rm --force {} {}", ids[0], ids[1]));
    for (arch, id) in ["amd64", "arm64"].iter().zip(&ids) {
        bench.run(format!("docker pull --platform linux/{arch} {list_name}"));
        assert_eq!(id_of(bench, &list_name), *id);
    }
}

fn id_of(bench: &Bench, image: &str) -> String {
    let shown = bench.run(format!("docker image inspect --format {{{{.Id}}}} {image}"));
    shown.line().to_owned()
}
