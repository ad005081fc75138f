//! Clients that pull the images of other registries through this one, by the files that `registry mirror-config` prints.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::access::host::{PULLS, PUSHES, public_and_private};
use crate::engines::containerd::containerd;
use crate::harness::engine;
use crate::harness::fixture::{Layout, layout_digest, tar};
use crate::harness::peer::Peer;
use crate::harness::sandbox::Sandbox;
use crate::harness::server::Server;
use crate::tools::podman::with_store;

const COPY: &str =
    "skopeo --insecure-policy copy --quiet --src-tls-verify=false --dest-tls-verify=false";

/// An image as Docker Hub has it, and its name here.
const IMAGE: &str = "docker.io/library/app:v1";

/// A registry upstream and the mirror of it.
struct Mirrored {
    upstream: Peer,
    mirror: Server,
    /// Digest of the image.
    digest: String,
}

/// Returns a port that is free.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts an upstream with an image, and a mirror with the sections that `configure` makes of the upstream's URL.
fn mirrored(sandbox: &Sandbox, configure: impl FnOnce(&str) -> Value) -> Mirrored {
    let upstream = Peer::with(sandbox.dir(), &json!({}));
    let layout = Layout::new(sandbox.path("source"));
    let layer = tar("file", b"content of the image");
    layout.tag("v1", &layout.image("amd64", &[layer]));
    let digest = layout_digest(&sandbox.path("source"));
    let address = &upstream.address;
    sandbox.run(format!(
        "{COPY} --preserve-digests oci:source:v1 docker://{address}/library/app:v1"
    ));
    let mut config = configure(&format!("http://{address}"));
    config["version"] = json!("0.1");
    config["http"] = json!({ "addr": format!("127.0.0.1:{}", free_port()) });
    sandbox.write("mirror.yml", config.to_string());
    let arguments = ["mirror.yml", "--data-dir", "mirrored"];
    let mirror = Server::launch(sandbox.dir(), "mirror", &arguments, &[]);
    Mirrored {
        upstream,
        mirror,
        digest,
    }
}

fn by_prefix(url: &str) -> Value {
    json!({ "upstreams": [{ "prefix": "hub", "ns": "docker.io", "url": url,
        "listen": format!("127.0.0.1:{}", free_port()) }] })
}

/// Returns the files for a client: paths and contents.
fn files(sandbox: &Sandbox, client: &str) -> Vec<(String, String)> {
    let arguments = [
        "mirror-config",
        client,
        "--config=mirror.yml",
        "--output=json",
    ];
    let output = sandbox.registry(&arguments).output().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let printed: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let files = printed["files"].as_array().unwrap().iter();
    files
        .map(|file| (text(&file["path"]), text(&file["content"])))
        .collect()
}

/// Pulls with Docker Engine, once from the upstream and once without it.
fn docker_pulls(sandbox: &Sandbox, mirrored: Mirrored, repository: &str) {
    let (path, content) = files(sandbox, "docker").remove(0);
    // laid over /etc/docker
    sandbox.write(&format!("mask{path}"), content);
    let _engine = engine::start(sandbox);
    sandbox.run("docker pull app:v1");
    let shown = sandbox.run("docker image inspect app:v1").json();
    let digest = &mirrored.digest;
    assert_eq!(shown[0]["RepoDigests"], json!([format!("app@{digest}")]));
    assert_eq!(&mirrored.mirror.manifest(repository, "v1").digest, digest);
    drop(mirrored.upstream);
    sandbox.run("docker image rm --force app:v1");
    sandbox.run("docker pull app:v1");
    sandbox.run(format!("docker pull app@{digest}"));
    sandbox.refused("docker pull absent:v1");
}

/// By an address of its own, beside own images.
pub fn docker_by_listen(sandbox: &Sandbox) {
    let mirrored = mirrored(sandbox, by_prefix);
    docker_pulls(sandbox, mirrored, "hub/library/app");
}

/// By distribution's section.
pub fn docker_by_proxy(sandbox: &Sandbox) {
    let mirrored = mirrored(sandbox, |url| json!({ "proxy": { "remoteurl": url } }));
    docker_pulls(sandbox, mirrored, "library/app");
}

/// By the prefix in its files, and by `?ns=` alone, as k3s has it.
pub fn containerd_by_hosts(sandbox: &Sandbox) {
    let mirrored = mirrored(sandbox, by_prefix);
    for (path, content) in files(sandbox, "containerd") {
        let name = path.strip_prefix("/etc/containerd/certs.d/").unwrap();
        sandbox.write(&format!("prefixed/{name}"), content);
    }
    let host = &mirrored.mirror.host;
    let plain = format!(
        "server = \"http://127.0.0.1:1\"\n[host.\"http://{host}\"]\n  capabilities = [\"pull\", \"resolve\"]\n"
    );
    sandbox.write("plain/docker.io/hosts.toml", plain);
    for (name, hosts) in [("first", "prefixed"), ("second", "plain")] {
        let mut daemon = containerd(sandbox, name);
        sandbox.run(format!("ctr images pull --hosts-dir {hosts} {IMAGE}"));
        let listed = sandbox.run("ctr images ls").stdout;
        assert!(listed.contains(&mirrored.digest), "{hosts}: {listed}");
        daemon.stop();
    }
    let tags = mirrored.mirror.tags("hub/library/app");
    assert_eq!(tags, ["v1"]);
    assert!(mirrored.mirror.is_gone("hub/hub/library/app", "v1"));
}

pub fn podman_by_registries_conf(sandbox: &Sandbox) {
    let mirrored = mirrored(sandbox, by_prefix);
    let (_, content) = files(sandbox, "podman").remove(0);
    sandbox.write("registries.conf", content);
    let path = sandbox.path("registries.conf").display().to_string();
    sandbox.set("CONTAINERS_REGISTRIES_CONF", path);
    let podman = with_store(sandbox, "store");
    sandbox.run(format!("{podman} pull {IMAGE}"));
    let digest = sandbox.run(format!(
        "{podman} image inspect --format {{{{.Digest}}}} {IMAGE}"
    ));
    assert_eq!(digest.line(), mirrored.digest);
    let here = mirrored.mirror.manifest("hub/library/app", "v1");
    assert_eq!(here.digest, mirrored.digest);
}

pub fn buildkit_by_configuration(sandbox: &Sandbox) {
    let mirrored = mirrored(sandbox, by_prefix);
    let (_, content) = files(sandbox, "buildkit").remove(0);
    let dir = sandbox.path("builder").display().to_string();
    sandbox.write(
        "builder.toml",
        format!(
            "root = \"{dir}\"\n[grpc]\naddress = [\"unix://{dir}.sock\"]\n[worker.containerd]\nenabled = false\n{content}"
        ),
    );
    sandbox.set("BUILDKIT_HOST", format!("unix://{dir}.sock"));
    let _daemon = sandbox.daemon("buildkitd --config builder.toml", "buildctl debug workers");
    sandbox.write("context/other", "other\n");
    sandbox.write(
        "context/Dockerfile",
        format!("FROM {IMAGE}\nCOPY other /other\n"),
    );
    sandbox.run(
        "buildctl build --frontend dockerfile.v0 --local context=context --local dockerfile=context \
         --progress plain --output type=local,dest=built",
    );
    assert_eq!(sandbox.read("built/file"), b"content of the image");
    let here = mirrored.mirror.manifest("hub/library/app", "v1");
    assert_eq!(here.digest, mirrored.digest);
}

/// By names with the prefix, from a second instance of ours with logins and a token service.
pub fn tools_by_prefix(sandbox: &Sandbox) {
    let upstream = public_and_private(sandbox, "upstream", "");
    let layout = Layout::new(sandbox.path("source"));
    layout.tag("v1", &layout.image("amd64", &[tar("file", b"content")]));
    let digest = layout_digest(&sandbox.path("source"));
    let (host, (user, password)) = (&upstream.host, PUSHES);
    sandbox.run(format!(
        "{COPY} --dest-creds {user}:{password} --preserve-digests oci:source:v1 docker://{host}/private/app:v1"
    ));
    sandbox.run("helm create web");
    sandbox.run("helm package web --version 1.0.0");
    let login = format!("--username {user} --password {password}");
    sandbox.run(format!(
        "helm push --plain-http {login} web-1.0.0.tgz oci://{host}/private/charts"
    ));
    let (user, password) = PULLS;
    let config = json!({ "version": "0.1", "upstreams": [
        { "prefix": "other", "url": format!("http://{host}"), "username": user, "password": password },
    ]});
    sandbox.write("mirror.yml", config.to_string());
    let arguments = ["mirror.yml", "--addr=127.0.0.1:0", "--data-dir=mirrored"];
    let mirror = Server::launch(sandbox.dir(), "mirror", &arguments, &[]);
    let here = &mirror.host;
    let image = format!("{here}/other/private/app:v1");
    assert_eq!(sandbox.run(format!("crane digest {image}")).line(), digest);
    assert_eq!(
        sandbox
            .run(format!("crane ls {here}/other/private/app"))
            .line(),
        "v1"
    );
    sandbox.run(format!(
        "{COPY} --preserve-digests docker://{image} oci:copied:v1"
    ));
    assert_eq!(layout_digest(&sandbox.path("copied")), digest);
    sandbox.run(format!("crane pull {image} pulled.tar"));
    let charts = format!("oci://{here}/other/private/charts/web");
    sandbox.write("pulled/.keep", "");
    // the tags are listed, and the newest taken
    sandbox.run(format!(
        "helm pull --plain-http --destination pulled {charts}"
    ));
    assert!(sandbox.read("pulled/web-1.0.0.tgz") == sandbox.read("web-1.0.0.tgz"));
    sandbox.refused(format!("crane copy {image} {here}/other/private/new:v1"));
}
