//! skopeo and podman, whose archives `registry import` reads.

use crate::harness::fixture::{Layout, assert_same, gunzip, layout_content};
use crate::harness::sandbox::Sandbox;

const COPY: &str = "skopeo --insecure-policy copy --quiet --src-tls-verify=false";

fn import(sandbox: &Sandbox, arguments: &str) {
    let program = env!("CARGO_BIN_EXE_registry");
    sandbox.run(format!("{program} import {arguments} --data-dir data"));
}

pub fn from_skopeo(sandbox: &Sandbox) {
    Layout::multi_arch(sandbox.path("source"));
    let source = layout_content(&sandbox.path("source"));
    let all = format!("{COPY} --all --preserve-digests oci:source:v1");
    sandbox.run(format!("{all} oci-archive:app.tar:team/app:v1"));
    sandbox.run(format!("{all} oci:layout:v2"));
    import(sandbox, "app.tar");
    import(sandbox, "layout team/app");
    for tag in ["v1", "v2"] {
        assert_same(&sandbox.server.content("team/app", tag), &source);
    }

    // docker's archives have layers without compression and no manifest
    sandbox.run(format!(
        "{COPY} oci:source:v1 docker-archive:saved.tar:team/saved:v1"
    ));
    sandbox.run("gzip --keep saved.tar");
    import(sandbox, "saved.tar");
    import(sandbox, "saved.tar.gz again:v1");
    let saved = sandbox.server.manifest("team/saved", "v1");
    assert_eq!(sandbox.server.manifest("again", "v1"), saved);
    let child = sandbox.server.manifest("team/app", "v1").children()[0].clone();
    let digest = child["digest"].as_str().unwrap();
    let original = sandbox.server.manifest("team/app", digest);
    assert_eq!(saved.layers().len(), original.layers().len());
    for (layer, compressed) in saved.layers().iter().zip(original.layers()) {
        let compressed = sandbox.server.blob("team/app", &compressed);
        assert!(sandbox.server.blob("team/saved", layer) == gunzip(&compressed));
    }
    // and skopeo reads what was made of it
    let host = &sandbox.server.host;
    sandbox.run(format!("{COPY} docker://{host}/team/saved:v1 dir:back"));
}

pub fn from_podman(sandbox: &Sandbox) {
    Layout::multi_arch(sandbox.path("source"));
    let dir = sandbox.dir().display();
    let podman = format!(
        "podman --root {dir}/store --runroot {dir}/run/store --storage-driver vfs \
         --cgroup-manager cgroupfs"
    );
    let pulled = sandbox.run(format!("{podman} pull --quiet oci:source:v1"));
    let pulled = pulled.line().to_owned();
    sandbox.run(format!("{podman} tag {pulled} localhost/team/app:v1"));
    for (format, name) in [("docker-archive", "docker"), ("oci-archive", "oci")] {
        let save = format!("{podman} save --quiet --format {format}");
        sandbox.run(format!("{save} --output {name}.tar localhost/team/app:v1"));
        import(sandbox, &format!("{name}.tar {name}:v1"));
        // the image as podman itself reads it from the archive
        let read = sandbox.run(format!("{podman} pull --quiet {format}:{name}.tar"));
        let image = format!("{}/{name}:v1", sandbox.server.host);
        let back = sandbox.run(format!("{podman} pull --quiet --tls-verify=false {image}"));
        assert_eq!(back.line(), read.line(), "{format}");
    }
}
