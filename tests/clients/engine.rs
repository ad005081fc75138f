//! Docker Engine in the two versions that people have.

use crate::content::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use crate::program;
use crate::sandbox::{Daemon, Sandbox};
use crate::server::Manifest;

/// A version of Docker Engine with its command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// 20.10 from Debian, with images in a store of its own.
    Debian,
    /// 29, with images in containerd's store, which it pushes and pulls by other code.
    V29,
}

impl Engine {
    pub const ALL: [Self; 2] = [Self::Debian, Self::V29];

    /// Suffix of the names of cases with this engine.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Debian => "",
            Self::V29 => "-29",
        }
    }

    /// Name under which a program of this engine is installed; other programs keep theirs.
    pub fn program(self, name: &str) -> &str {
        match (self, name) {
            (Self::V29, "docker") => "docker-29",
            (Self::V29, "dockerd") => "dockerd-29",
            _ => name,
        }
    }

    /// Media type of the manifests that it makes.
    pub const fn manifest_type(self) -> &'static str {
        match self {
            Self::Debian => DOCKER_MANIFEST,
            Self::V29 => OCI_MANIFEST,
        }
    }

    /// Media type of the lists that its command line makes of them.
    pub const fn list_type(self) -> &'static str {
        match self {
            Self::Debian => DOCKER_LIST,
            Self::V29 => OCI_INDEX,
        }
    }

    /// Returns what the engine calls the ID of an image.
    pub fn image_id(self, manifest: &Manifest) -> String {
        match self {
            Self::Debian => manifest.config(),
            Self::V29 => manifest.digest.clone(),
        }
    }

    /// Programs that it needs beside those a test names.
    pub const fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Debian => &[],
            Self::V29 => &["buildx"],
        }
    }
}

/// Starts the case's engine with neither iptables nor a bridge, which leaves the machine's network alone.
pub fn start(sandbox: &Sandbox) -> Daemon {
    let dir = sandbox.dir().display();
    let socket = format!("unix://{dir}/docker.sock");
    sandbox.set("DOCKER_HOST", &socket);
    sandbox.set("DOCKER_BUILDKIT", "1");
    // both build one manifest for one platform, except where a test asks for more
    sandbox.set("BUILDX_NO_DEFAULT_ATTESTATIONS", "1");
    if sandbox.engine == Engine::V29 {
        add_buildx(sandbox);
    }
    sandbox.daemon(
        format!(
            "dockerd --iptables=false --ip6tables=false --bridge=none --host {socket} \
             --data-root {dir}/docker --exec-root {dir}/exec --pidfile {dir}/docker.pid"
        ),
        "docker version",
    )
}

/// Gives the command line its plugin that builds.
fn add_buildx(sandbox: &Sandbox) {
    let plugin = sandbox.path("home/.docker/cli-plugins/docker-buildx");
    if plugin.exists() {
        return;
    }
    std::fs::create_dir_all(plugin.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(program::find("buildx").unwrap(), plugin).unwrap();
}
