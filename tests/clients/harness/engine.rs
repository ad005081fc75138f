//! Starting Docker Engine for a case.

use crate::harness::engine_version::Engine;
use crate::harness::program;
use crate::harness::sandbox::{Daemon, Sandbox};

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
