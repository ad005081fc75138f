//! The files of each client.

use serde_json::json;

use super::mirrored::{Place, Upstream};
use crate::cli::error::Error;

/// A client that can be led to mirrors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Client {
    Docker,
    Containerd,
    K3s,
    Podman,
    Buildkit,
}

/// A file of a client.
pub(super) struct File {
    pub path: String,
    pub content: String,
}

impl File {
    fn new(path: impl Into<String>, content: String) -> Self {
        Self {
            path: path.into(),
            content,
        }
    }
}

/// Returns the files that lead a client to the upstreams.
///
/// # Errors
/// The client cannot be led to any of them.
pub(super) fn files(
    client: Client,
    here: &Place,
    upstreams: &[Upstream],
) -> Result<Vec<File>, Error> {
    match client {
        Client::Docker => docker(upstreams).map(|file| vec![file]),
        Client::Containerd => Ok(upstreams.iter().map(|one| containerd(here, one)).collect()),
        Client::K3s => Ok(vec![k3s(here, upstreams)]),
        Client::Podman => Ok(vec![podman(here, upstreams)]),
        Client::Buildkit => Ok(vec![buildkit(here, upstreams)]),
    }
}

/// Returns what a client does otherwise than the files may lead to believe.
pub(super) fn note(client: Client, upstreams: &[Upstream]) -> Option<String> {
    let mut caches = upstreams
        .iter()
        .filter(|upstream| upstream.prefix.is_none());
    let other = caches.find(|upstream| upstream.host != "docker.io")?;
    (client == Client::Docker).then(|| {
        format!(
            "Docker asks a mirror for images of Docker Hub only, and this registry is a cache of {}: that helps if {0} has those, too",
            other.host
        )
    })
}

/// Docker knows mirrors of Docker Hub only, and no paths.
fn docker(upstreams: &[Upstream]) -> Result<File, Error> {
    // the whole registry is a cache of what the client takes for Docker Hub
    let is_hub = |upstream: &&Upstream| upstream.host == "docker.io" || upstream.prefix.is_none();
    let hub = upstreams.iter().find(is_hub);
    let alone = hub.and_then(|hub| hub.alone.as_ref()).ok_or_else(|| {
        Error::Other(
            "Docker knows mirrors of Docker Hub only, at an address of their own: add listen: ':5001' to the upstream with ns: docker.io"
                .to_owned(),
        )
    })?;
    let mut daemon = json!({ "registry-mirrors": [alone.url()] });
    if !alone.is_encrypted() {
        daemon["insecure-registries"] = json!([alone.authority]);
    }
    let content = serde_json::to_string_pretty(&daemon).unwrap_or_default();
    Ok(File::new("/etc/docker/daemon.json", content + "\n"))
}

fn containerd(here: &Place, upstream: &Upstream) -> File {
    let Upstream {
        host,
        server,
        prefix,
        ..
    } = upstream;
    let path = prefix
        .as_ref()
        .map_or(String::new(), |prefix| format!("/{prefix}"));
    let content = format!(
        "server = \"{server}\"\n\n[host.\"{}/v2{path}\"]\n  capabilities = [\"pull\", \"resolve\"]\n  override_path = true\n",
        here.url()
    );
    File::new(
        format!("/etc/containerd/certs.d/{host}/hosts.toml"),
        content,
    )
}

/// k3s writes containerd's files, which name the upstream by `?ns=`.
fn k3s(here: &Place, upstreams: &[Upstream]) -> File {
    let mirrors: String = upstreams
        .iter()
        .map(|upstream| {
            format!(
                "  {}:\n    endpoint:\n      - \"{}\"\n",
                upstream.host,
                here.url()
            )
        })
        .collect();
    File::new(
        "/etc/rancher/k3s/registries.yaml",
        format!("mirrors:\n{mirrors}"),
    )
}

/// Returns the place of an upstream's repositories, as a name of an image begins.
fn location(here: &Place, upstream: &Upstream) -> String {
    match &upstream.prefix {
        Some(prefix) => format!("{}/{prefix}", here.authority),
        None => here.authority.clone(),
    }
}

fn podman(here: &Place, upstreams: &[Upstream]) -> File {
    let insecure = match here.is_encrypted() {
        true => "",
        false => "insecure = true\n",
    };
    let registries: Vec<_> = upstreams
        .iter()
        .map(|upstream| {
            let (host, location) = (&upstream.host, location(here, upstream));
            format!(
                "[[registry]]\nprefix = \"{host}\"\nlocation = \"{host}\"\n\n[[registry.mirror]]\nlocation = \"{location}\"\n{insecure}"
            )
        })
        .collect();
    File::new(
        "/etc/containers/registries.conf.d/mirrors.conf",
        registries.join("\n"),
    )
}

fn buildkit(here: &Place, upstreams: &[Upstream]) -> File {
    let mut content = String::new();
    for upstream in upstreams {
        content += &format!(
            "[registry.\"{}\"]\n  mirrors = [\"{}\"]\n\n",
            upstream.host,
            location(here, upstream)
        );
    }
    content += &match here.is_encrypted() {
        true => String::new(),
        false => format!("[registry.\"{}\"]\n  http = true\n", here.authority),
    };
    File::new(
        "/etc/buildkit/buildkitd.toml",
        content.trim_end().to_owned() + "\n",
    )
}
