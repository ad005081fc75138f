//! Clients that pull the images of other registries through this one, by the files that `registry mirror-config` prints.

use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};

use crate::access::host::{PULLS, PUSHES, public_and_private};
use crate::engines::containerd::containerd;
use crate::harness::engine;
use crate::harness::fixture::{Layout, layout_content, layout_digest, tar};
use crate::harness::peer::Peer;
use crate::harness::sandbox::Sandbox;
use crate::harness::server::Server;
use crate::support::content::OCI_MANIFEST;
use crate::support::hub::Hub;
use crate::tools::podman::with_store;

const COPY: &str =
    "skopeo --insecure-policy copy --quiet --src-tls-verify=false --dest-tls-verify=false";

/// An image as Docker Hub has it, and its name here.
const IMAGE: &str = "docker.io/library/app:v1";

/// Kind of an upstream.
#[derive(Clone, Copy)]
enum Kind {
    /// Debian's `docker-registry`.
    Distribution,
    /// What speaks Docker Hub's dialect: tokens and blobs from elsewhere, 401 for names that are not there.
    DockerHub,
}

enum Upstream {
    Distribution(Peer),
    DockerHub(Hub),
}

/// A registry upstream and the mirror of it.
struct Mirrored {
    upstream: Upstream,
    mirror: Server,
    /// Digest of the image.
    digest: String,
}

impl Upstream {
    /// Starts it with the image of a layout.
    fn start(sandbox: &Sandbox, kind: Kind, layout: &str) -> Self {
        match kind {
            Kind::Distribution => {
                let upstream = Peer::with(sandbox.dir(), &json!({}));
                let address = &upstream.address;
                sandbox.run(format!(
                    "{COPY} --preserve-digests oci:{layout}:v1 docker://{address}/library/app:v1"
                ));
                Self::Distribution(upstream)
            }
            Kind::DockerHub => {
                let hub = Hub::start();
                add_layout(&hub, &sandbox.path(layout), "library/app", "v1");
                Self::DockerHub(hub)
            }
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Distribution(peer) => format!("http://{}", peer.address),
            Self::DockerHub(hub) => hub.url(),
        }
    }

    /// Ends it, as far as clients can see.
    fn end(self) {
        match self {
            Self::Distribution(peer) => drop(peer),
            Self::DockerHub(hub) => hub.behave(|behaviour| behaviour.is_down = true),
        }
    }
}

/// Adds the only entry of a layout to a registry that speaks Docker Hub's dialect.
fn add_layout(hub: &Hub, layout: &Path, repository: &str, tag: &str) {
    let digest = layout_digest(layout);
    for (name, content) in layout_content(layout) {
        match name == digest {
            true => hub.add_manifest(repository, Some(tag), OCI_MANIFEST, &content),
            false => hub.add_blob(repository, &content),
        }
    }
}

/// Returns a port that is free.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts an upstream with an image, and a mirror with the sections that `configure` makes of the upstream's URL.
fn mirrored(sandbox: &Sandbox, kind: Kind, configure: impl FnOnce(&str) -> Value) -> Mirrored {
    let layout = Layout::new(sandbox.path("source"));
    let layer = tar("file", b"content of the image");
    layout.tag("v1", &layout.image("amd64", &[layer]));
    let upstream = Upstream::start(sandbox, kind, "source");
    let mut config = configure(&upstream.url());
    config["version"] = json!("0.1");
    config["http"] = json!({ "addr": format!("127.0.0.1:{}", free_port()) });
    sandbox.write("mirror.yml", config.to_string());
    let arguments = ["mirror.yml", "--data-dir", "mirrored"];
    let mirror = Server::launch(sandbox.dir(), "mirror", &arguments, &[]);
    Mirrored {
        upstream,
        mirror,
        digest: layout_digest(&sandbox.path("source")),
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
    mirrored.upstream.end();
    sandbox.run("docker image rm --force app:v1");
    sandbox.run("docker pull app:v1");
    sandbox.run(format!("docker pull app@{digest}"));
    sandbox.refused("docker pull absent:v1");
}

/// By an address of its own, beside own images.
fn docker_listens(sandbox: &Sandbox, kind: Kind) {
    let mirrored = mirrored(sandbox, kind, by_prefix);
    docker_pulls(sandbox, mirrored, "hub/library/app");
}

pub fn docker_by_listen(sandbox: &Sandbox) {
    docker_listens(sandbox, Kind::Distribution);
}

pub fn hub_docker_by_listen(sandbox: &Sandbox) {
    docker_listens(sandbox, Kind::DockerHub);
}

/// By distribution's section.
fn docker_proxy(sandbox: &Sandbox, kind: Kind) {
    let proxy = |url: &str| json!({ "proxy": { "remoteurl": url } });
    docker_pulls(sandbox, mirrored(sandbox, kind, proxy), "library/app");
}

pub fn docker_by_proxy(sandbox: &Sandbox) {
    docker_proxy(sandbox, Kind::Distribution);
}

pub fn hub_docker_by_proxy(sandbox: &Sandbox) {
    docker_proxy(sandbox, Kind::DockerHub);
}

pub fn containerd_by_hosts(sandbox: &Sandbox) {
    containerd_pulls(sandbox, Kind::Distribution);
}

pub fn hub_containerd_by_hosts(sandbox: &Sandbox) {
    containerd_pulls(sandbox, Kind::DockerHub);
}

/// By the prefix in its files, and by `?ns=` alone, as k3s has it.
fn containerd_pulls(sandbox: &Sandbox, kind: Kind) {
    let mirrored = mirrored(sandbox, kind, by_prefix);
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
    podman_pulls(sandbox, Kind::Distribution);
}

pub fn hub_podman_by_registries_conf(sandbox: &Sandbox) {
    podman_pulls(sandbox, Kind::DockerHub);
}

fn podman_pulls(sandbox: &Sandbox, kind: Kind) {
    let mirrored = mirrored(sandbox, kind, by_prefix);
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
    buildkit_builds(sandbox, Kind::Distribution);
}

pub fn hub_buildkit_by_configuration(sandbox: &Sandbox) {
    buildkit_builds(sandbox, Kind::DockerHub);
}

fn buildkit_builds(sandbox: &Sandbox, kind: Kind) {
    let mirrored = mirrored(sandbox, kind, by_prefix);
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
    package_chart(sandbox);
    let login = format!("--username {user} --password {password}");
    sandbox.run(format!(
        "helm push --plain-http {login} web-1.0.0.tgz oci://{host}/private/charts"
    ));
    let (user, password) = PULLS;
    let other = json!({ "prefix": "other", "url": format!("http://{host}"), "username": user, "password": password });
    let mirror = mirror_of(sandbox, &other);
    tools_pull(sandbox, &mirror, "other/private", &digest);
}

/// By names with the prefix, from what speaks Docker Hub's dialect.
pub fn hub_tools_by_prefix(sandbox: &Sandbox) {
    let layout = Layout::new(sandbox.path("source"));
    layout.tag("v1", &layout.image("amd64", &[tar("file", b"content")]));
    let digest = layout_digest(&sandbox.path("source"));
    package_chart(sandbox);
    let peer = Peer::with(sandbox.dir(), &json!({}));
    let address = &peer.address;
    sandbox.run(format!(
        "helm push --plain-http web-1.0.0.tgz oci://{address}/charts"
    ));
    sandbox.run(format!(
        "{COPY} --preserve-digests docker://{address}/charts/web:1.0.0 oci:chart:1.0.0"
    ));
    let hub = Hub::start();
    add_layout(&hub, &sandbox.path("source"), "acme/app", "v1");
    add_layout(&hub, &sandbox.path("chart"), "acme/charts/web", "1.0.0");
    let mirror = mirror_of(
        sandbox,
        &json!({ "prefix": "hub", "ns": "docker.io", "url": hub.url() }),
    );
    tools_pull(sandbox, &mirror, "hub/acme", &digest);
}

fn package_chart(sandbox: &Sandbox) {
    sandbox.run("helm create web");
    sandbox.run("helm package web --version 1.0.0");
}

/// Starts a mirror of one upstream.
fn mirror_of(sandbox: &Sandbox, upstream: &Value) -> Server {
    let config = json!({ "version": "0.1", "upstreams": [upstream] });
    sandbox.write("mirror.yml", config.to_string());
    let arguments = ["mirror.yml", "--addr=127.0.0.1:0", "--data-dir=mirrored"];
    Server::launch(sandbox.dir(), "mirror", &arguments, &[])
}

/// Pulls the image `app` with crane and skopeo, and the chart `charts/web` with helm; pushes are refused.
fn tools_pull(sandbox: &Sandbox, mirror: &Server, group: &str, digest: &str) {
    let here = format!("{}/{group}", mirror.host);
    let image = format!("{here}/app:v1");
    assert_eq!(sandbox.run(format!("crane digest {image}")).line(), digest);
    assert_eq!(sandbox.run(format!("crane ls {here}/app")).line(), "v1");
    sandbox.run(format!(
        "{COPY} --preserve-digests docker://{image} oci:copied:v1"
    ));
    assert_eq!(layout_digest(&sandbox.path("copied")), digest);
    sandbox.run(format!("crane pull {image} pulled.tar"));
    let charts = format!("oci://{here}/charts/web");
    sandbox.write("pulled/.keep", "");
    // the tags are listed, and the newest taken
    sandbox.run(format!(
        "helm pull --plain-http --destination pulled {charts}"
    ));
    assert!(sandbox.read("pulled/web-1.0.0.tgz") == sandbox.read("web-1.0.0.tgz"));
    sandbox.refused(format!("crane copy {image} {here}/new:v1"));
}
