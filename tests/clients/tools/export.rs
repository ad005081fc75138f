//! skopeo and podman, which read what `registry export` writes.

use crate::harness::fixture::{Layout, assert_same, layout_content};
use crate::harness::sandbox::Sandbox;

const COPY: &str = "skopeo --insecure-policy copy --quiet --all --preserve-digests \
                    --src-tls-verify=false --dest-tls-verify=false";

/// Pushes an index under two names, and a signature of it.
fn push(sandbox: &Sandbox) -> crate::harness::api::Content {
    Layout::multi_arch(sandbox.path("source"));
    let host = &sandbox.server.host;
    for name in ["team/app:v1", "other:v1"] {
        sandbox.run(format!("{COPY} oci:source:v1 docker://{host}/{name}"));
    }
    let digest = sandbox.server.manifest("team/app", "v1").digest;
    let signature = digest.replace(':', "-") + ".sig";
    let image = Layout::new(sandbox.path("signature"));
    image.tag("v1", &image.image("amd64", &[b"signed".to_vec()]));
    sandbox.run(format!(
        "{COPY} oci:signature:v1 docker://{host}/team/app:{signature}"
    ));
    layout_content(&sandbox.path("source"))
}

fn export(sandbox: &Sandbox, arguments: &str) {
    let program = env!("CARGO_BIN_EXE_registry");
    sandbox.run(format!("{program} export {arguments} --data-dir data"));
}

pub fn to_skopeo(sandbox: &Sandbox) {
    let source = push(sandbox);
    export(sandbox, "team/app:v1 layout");
    export(sandbox, "team/app:v1 app.tar");
    export(sandbox, "team/app other all");
    let host = &sandbox.server.host;
    for (number, from) in [
        "oci:layout:v1",
        "oci-archive:app.tar:v1",
        "oci:all:team/app:v1",
        "oci:all:other:v1",
    ]
    .iter()
    .enumerate()
    {
        let repository = format!("back{number}");
        sandbox.run(format!("{COPY} {from} docker://{host}/{repository}:v1"));
        assert_same(&sandbox.server.content(&repository, "v1"), &source);
    }
    // an export of one manifest needs no name
    export(sandbox, "team/app:v1 bare --no-referrers");
    sandbox.run(format!("{COPY} oci:bare docker://{host}/bare:v1"));
    assert_same(&sandbox.server.content("bare", "v1"), &source);
}

pub fn to_podman(sandbox: &Sandbox) {
    push(sandbox);
    let dir = sandbox.dir().display();
    let podman = format!(
        "podman --root {dir}/store --runroot {dir}/run/store --storage-driver vfs \
         --cgroup-manager cgroupfs"
    );
    let config = |image: &str| {
        let line = format!("{podman} image inspect --format {{{{.Id}}}} {image}");
        sandbox.run(line).line().to_owned()
    };
    export(sandbox, "team/app:v1 app.tar");
    let pulled = sandbox.run(format!("{podman} pull --quiet oci-archive:app.tar:v1"));
    let pulled = pulled.line().to_owned();
    for flags in ["--no-referrers", "--docker --platform linux/amd64"] {
        sandbox.run(format!("{podman} rmi --force {pulled}"));
        export(sandbox, &format!("team/app:v1 one.tar {flags}"));
        sandbox.run(format!("{podman} load --input one.tar"));
        assert_eq!(config("localhost/team/app:v1"), pulled);
    }
}
