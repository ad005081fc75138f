//! crane. It takes 127.0.0.1 for plain HTTP by itself.

use serde_json::Value;

use crate::bench::Bench;
use crate::content::{OCI_INDEX, noise, sha256};
use crate::fixture::{Layout, assert_same, gzip, layout_content, layout_digest, tar};
use crate::server::text;

pub fn push_and_pull(bench: &Bench) {
    Layout::multi_arch(bench.path("source"));
    let source = layout_content(&bench.path("source"));
    let host = &bench.server.host;
    let image = format!("{host}/team/app:v1");
    let pushed = bench.run(format!("crane push source {image}"));
    let digest = layout_digest(&bench.path("source"));
    assert_eq!(pushed.line(), format!("{host}/team/app@{digest}"));
    assert_same(&bench.server.content("team/app", "v1"), &source);
    assert_eq!(bench.run(format!("crane digest {image}")).line(), digest);
    let index = bench.server.manifest("team/app", "v1");
    let shown = bench.run(format!("crane manifest {image}"));
    assert!(shown.stdout.trim_end().as_bytes() == index.bytes);

    bench.run(format!("crane pull --format oci {image} back"));
    assert_same(&layout_content(&bench.path("back")), &source);
    bench.run(format!("crane validate --remote {image}"));
    bench.run(format!(
        "crane pull --platform linux/arm64 {image} arm64.tar"
    ));
    bench.run("crane validate --tarball arm64.tar");

    let copied = bench
        .run(format!("crane copy {image} {host}/other/app:v1"))
        .stderr;
    assert_eq!(copied.matches("mounted blob").count(), 5, "{copied}");
    assert_same(&bench.server.content("other/app", "v1"), &source);
    bench.run(format!("crane tag {image} latest"));
    bench.run(format!(
        "crane copy --all-tags {host}/team/app {host}/third/app"
    ));
    assert_eq!(bench.server.tags("third/app"), ["latest", "v1"]);
    let lines = |line: String| {
        let printed = bench.run(line).stdout;
        printed.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(format!("crane ls {host}/team/app")), ["latest", "v1"]);
    assert_eq!(
        lines(format!("crane catalog {host}")),
        ["other/app", "team/app", "third/app"]
    );

    bench.run(format!("crane delete {host}/team/app:latest"));
    assert_eq!(bench.server.tags("team/app"), ["v1"]);
    bench.run(format!("crane delete {host}/team/app@{digest}"));
    assert!(bench.server.is_gone("team/app", &digest));
    bench.refused(format!("crane manifest {image}"));
    assert_same(&bench.server.content("other/app", "v1"), &source);
}

/// Images that crane edits without pulling them whole.
pub fn edit(bench: &Bench) {
    let host = &bench.server.host;
    let name = |tag: &str| format!("{host}/team/app:{tag}");
    let config = |tag: &str| -> Value {
        let manifest = bench.server.manifest("team/app", tag);
        serde_json::from_slice(&bench.server.blob("team/app", &manifest.config())).unwrap()
    };
    for (layer, seed) in [("first", 1), ("second", 2)] {
        let content = noise(seed, 200_000);
        bench.write(&format!("{layer}.tar.gz"), gzip(&tar(layer, &content)));
    }
    let layers = ["first", "second"].map(|layer| sha256(&bench.read(&format!("{layer}.tar.gz"))));

    bench.run(format!(
        "crane append --oci-empty-base --new_layer first.tar.gz --new_tag {}",
        name("one")
    ));
    assert_eq!(
        bench.server.manifest("team/app", "one").layers(),
        layers[..1]
    );
    bench.run(format!(
        "crane append --base {} --new_layer second.tar.gz --new_tag {}",
        name("one"),
        name("two")
    ));
    assert_eq!(bench.server.manifest("team/app", "two").layers(), layers);

    bench.run(format!(
        "crane mutate --label colour=red --set-platform linux/arm64 --tag {} {}",
        name("red"),
        name("two")
    ));
    assert_eq!(config("red")["config"]["Labels"]["colour"], "red");
    assert_eq!(config("red")["architecture"], "arm64");
    assert_eq!(bench.server.manifest("team/app", "red").layers(), layers);

    bench.run(format!(
        "crane flatten --tag {} {}",
        name("flat"),
        name("two")
    ));
    assert_eq!(bench.server.manifest("team/app", "flat").layers().len(), 1);

    let manifests = format!("--manifest {} --manifest {}", name("two"), name("red"));
    bench.run(format!(
        "crane index append {manifests} --tag {}",
        name("index")
    ));
    let index = bench.server.manifest("team/app", "index");
    assert_eq!(index.media_type, OCI_INDEX);
    let children: Vec<String> = index
        .children()
        .iter()
        .map(|child| text(&child["digest"]))
        .collect();
    let wanted = ["two", "red"].map(|tag| bench.server.manifest("team/app", tag).digest);
    assert_eq!(children, wanted);
    for tag in ["one", "two", "red", "flat", "index"] {
        bench.run(format!("crane validate --remote {}", name(tag)));
    }
}
