//! skopeo, as Debian has it.

use std::path::Path;

use serde_json::json;

use crate::bench::Bench;
use crate::content::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use crate::fixture::{Layout, assert_same, layout_content, layout_digest};
use crate::server::text;

const COPY: &str =
    "skopeo --insecure-policy copy --quiet --src-tls-verify=false --dest-tls-verify=false";

/// Compares a `dir:` directory with an image in the registry; answers how many blobs it has.
fn compare_dir(bench: &Bench, dir: &str, repo: &str, reference: &str) -> usize {
    let manifest = bench.server.manifest(repo, reference);
    assert!(bench.read(&format!("{dir}/manifest.json")) == manifest.bytes);
    let mut blobs = manifest.layers();
    blobs.push(manifest.config());
    for blob in &blobs {
        let file = Path::new(dir).join(blob.replace("sha256:", ""));
        assert!(bench.read(file.to_str().unwrap()) == bench.server.blob(repo, blob));
    }
    blobs.len()
}

pub fn oci_layouts(bench: &Bench) {
    Layout::multi_arch(bench.path("source"));
    let source = layout_content(&bench.path("source"));
    let image = format!("docker://{}/team/app:v1", bench.server.host);
    bench.run(format!(
        "{COPY} --all --preserve-digests oci:source:v1 {image}"
    ));
    let index = bench.server.manifest("team/app", "v1");
    assert_eq!(index.media_type, OCI_INDEX);
    assert_eq!(index.digest, layout_digest(&bench.path("source")));
    assert_same(&bench.server.content("team/app", "v1"), &source);

    bench.run(format!(
        "{COPY} --all --preserve-digests {image} oci:back:v1"
    ));
    assert_same(&layout_content(&bench.path("back")), &source);

    // within the registry, then one platform of it alone
    let other = format!("docker://{}/other/app:v1", bench.server.host);
    bench.run(format!("{COPY} --all --preserve-digests {image} {other}"));
    assert_same(&bench.server.content("other/app", "v1"), &source);
    let copy_arm = COPY.replace("copy", "--override-arch arm64 copy");
    bench.run(format!("{copy_arm} --preserve-digests {image} dir:arm64"));
    let arm = text(&index.children()[1]["digest"]);
    assert_eq!(compare_dir(bench, "arm64", "team/app", &arm), 3);

    let inspect = "skopeo inspect --tls-verify=false";
    let raw = bench.run(format!("{inspect} --raw {image}"));
    assert!(raw.stdout.as_bytes() == index.bytes);
    let shown = bench.run(format!("{inspect} {image}")).json();
    assert_eq!(shown["Digest"], index.digest);
    assert_eq!(shown["RepoTags"], json!(["v1"]));
    assert_eq!(shown["Architecture"], "amd64");
    let amd = bench
        .server
        .manifest("team/app", &text(&index.children()[0]["digest"]));
    assert_eq!(shown["Layers"], json!(amd.layers()));
}

pub fn docker_format(bench: &Bench) {
    Layout::multi_arch(bench.path("source"));
    let host = &bench.server.host;
    let copy = format!("{COPY} --format v2s2");
    bench.run(format!(
        "{copy} --all oci:source:v1 docker://{host}/team/app:list"
    ));
    let list = bench.server.manifest("team/app", "list");
    assert_eq!(list.media_type, DOCKER_LIST);
    assert_eq!(bench.server.content("team/app", "list").len(), 8);

    bench.run(format!("{copy} oci:source:v1 docker://{host}/team/app:one"));
    let one = bench.server.manifest("team/app", "one");
    assert_eq!(one.media_type, DOCKER_MANIFEST);
    assert_eq!(one.digest, text(&list.children()[0]["digest"]));

    // out to a directory, back in under another name, and made an OCI image of again
    bench.run(format!("{COPY} docker://{host}/team/app:one dir:out"));
    assert_eq!(compare_dir(bench, "out", "team/app", "one"), 3);
    bench.run(format!(
        "{COPY} --preserve-digests dir:out docker://{host}/other/app:one"
    ));
    assert_eq!(bench.server.manifest("other/app", "one"), one);
    assert_eq!(compare_dir(bench, "out", "other/app", "one"), 3);
    bench.run(format!(
        "{COPY} --format oci docker://{host}/other/app:one docker://{host}/other/app:oci"
    ));
    let oci = bench.server.manifest("other/app", "oci");
    assert_eq!(oci.media_type, OCI_MANIFEST);
    assert_eq!(oci.layers(), one.layers());
}

pub fn delete(bench: &Bench) {
    Layout::multi_arch(bench.path("source"));
    let repo = format!("docker://{}/team/app", bench.server.host);
    for tag in ["v1", "v2"] {
        bench.run(format!(
            "{COPY} --all --preserve-digests oci:source:v1 {repo}:{tag}"
        ));
    }
    bench.run(format!("{COPY} oci:source:v1 {repo}:other"));
    let list_tags = format!("skopeo list-tags --tls-verify=false {repo}");
    assert_eq!(
        bench.run(&list_tags).json()["Tags"],
        json!(["other", "v1", "v2"])
    );

    // skopeo deletes the manifest that a tag leads to, and with it all its tags
    let digest = bench.server.manifest("team/app", "v1").digest;
    bench.run(format!("skopeo delete --tls-verify=false {repo}:v1"));
    assert!(bench.server.is_gone("team/app", "v1"));
    assert!(bench.server.is_gone("team/app", "v2"));
    assert!(bench.server.is_gone("team/app", &digest));
    assert_eq!(bench.run(&list_tags).json()["Tags"], json!(["other"]));
    bench.server.content("team/app", "other");
    bench.refused(format!("{COPY} {repo}:v1 dir:gone"));
}
