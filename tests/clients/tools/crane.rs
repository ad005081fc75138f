//! crane. It takes 127.0.0.1 for plain HTTP by itself.

use serde_json::Value;

use crate::harness::api::text;
use crate::harness::fixture::{Layout, assert_same, gzip, layout_content, layout_digest, tar};
use crate::harness::sandbox::Sandbox;
use crate::support::content::{OCI_INDEX, noise, sha256};

pub fn push_and_pull(sandbox: &Sandbox) {
    Layout::multi_arch(sandbox.path("source"));
    let source = layout_content(&sandbox.path("source"));
    let host = &sandbox.server.host;
    let image = format!("{host}/team/app:v1");
    let pushed = sandbox.run(format!("crane push source {image}"));
    let digest = layout_digest(&sandbox.path("source"));
    assert_eq!(pushed.line(), format!("{host}/team/app@{digest}"));
    assert_same(&sandbox.server.content("team/app", "v1"), &source);
    assert_eq!(sandbox.run(format!("crane digest {image}")).line(), digest);
    let index = sandbox.server.manifest("team/app", "v1");
    let shown = sandbox.run(format!("crane manifest {image}"));
    assert!(shown.stdout.trim_end().as_bytes() == index.bytes);

    sandbox.run(format!("crane pull --format oci {image} back"));
    assert_same(&layout_content(&sandbox.path("back")), &source);
    sandbox.run(format!("crane validate --remote {image}"));
    sandbox.run(format!(
        "crane pull --platform linux/arm64 {image} arm64.tar"
    ));
    sandbox.run("crane validate --tarball arm64.tar");

    let copied = sandbox
        .run(format!("crane copy {image} {host}/other/app:v1"))
        .stderr;
    assert_eq!(copied.matches("mounted blob").count(), 5, "{copied}");
    assert_same(&sandbox.server.content("other/app", "v1"), &source);
    sandbox.run(format!("crane tag {image} latest"));
    sandbox.run(format!(
        "crane copy --all-tags {host}/team/app {host}/third/app"
    ));
    assert_eq!(sandbox.server.tags("third/app"), ["latest", "v1"]);
    let lines = |line: String| {
        let printed = sandbox.run(line).stdout;
        printed.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(format!("crane ls {host}/team/app")), ["latest", "v1"]);
    assert_eq!(
        lines(format!("crane catalog {host}")),
        ["other/app", "team/app", "third/app"]
    );

    sandbox.run(format!("crane delete {host}/team/app:latest"));
    assert_eq!(sandbox.server.tags("team/app"), ["v1"]);
    sandbox.run(format!("crane delete {host}/team/app@{digest}"));
    assert!(sandbox.server.is_gone("team/app", &digest));
    sandbox.refused(format!("crane manifest {image}"));
    assert_same(&sandbox.server.content("other/app", "v1"), &source);
}

/// Images that crane edits without pulling them whole.
pub fn edit(sandbox: &Sandbox) {
    let host = &sandbox.server.host;
    let name = |tag: &str| format!("{host}/team/app:{tag}");
    let config = |tag: &str| -> Value {
        let manifest = sandbox.server.manifest("team/app", tag);
        serde_json::from_slice(&sandbox.server.blob("team/app", &manifest.config())).unwrap()
    };
    for (layer, seed) in [("first", 1), ("second", 2)] {
        let content = noise(seed, 200_000);
        sandbox.write(&format!("{layer}.tar.gz"), gzip(&tar(layer, &content)));
    }
    let layers = ["first", "second"].map(|layer| sha256(&sandbox.read(&format!("{layer}.tar.gz"))));

    sandbox.run(format!(
        "crane append --oci-empty-base --new_layer first.tar.gz --new_tag {}",
        name("one")
    ));
    assert_eq!(
        sandbox.server.manifest("team/app", "one").layers(),
        layers[..1]
    );
    sandbox.run(format!(
        "crane append --base {} --new_layer second.tar.gz --new_tag {}",
        name("one"),
        name("two")
    ));
    assert_eq!(sandbox.server.manifest("team/app", "two").layers(), layers);

    sandbox.run(format!(
        "crane mutate --label colour=red --set-platform linux/arm64 --tag {} {}",
        name("red"),
        name("two")
    ));
    assert_eq!(config("red")["config"]["Labels"]["colour"], "red");
    assert_eq!(config("red")["architecture"], "arm64");
    assert_eq!(sandbox.server.manifest("team/app", "red").layers(), layers);

    sandbox.run(format!(
        "crane flatten --tag {} {}",
        name("flat"),
        name("two")
    ));
    assert_eq!(
        sandbox.server.manifest("team/app", "flat").layers().len(),
        1
    );

    let manifests = format!("--manifest {} --manifest {}", name("two"), name("red"));
    sandbox.run(format!(
        "crane index append {manifests} --tag {}",
        name("index")
    ));
    let index = sandbox.server.manifest("team/app", "index");
    assert_eq!(index.media_type, OCI_INDEX);
    let children: Vec<String> = index
        .children()
        .iter()
        .map(|child| text(&child["digest"]))
        .collect();
    let expected = ["two", "red"].map(|tag| sandbox.server.manifest("team/app", tag).digest);
    assert_eq!(children, expected);
    for tag in ["one", "two", "red", "flat", "index"] {
        sandbox.run(format!("crane validate --remote {}", name(tag)));
    }
}
