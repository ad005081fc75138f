//! skopeo, as Debian has it.

use std::path::Path;

use serde_json::json;

use crate::harness::api::text;
use crate::harness::fixture::{Layout, assert_same, layout_content, layout_digest};
use crate::harness::sandbox::Sandbox;
use crate::support::content::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};

const COPY: &str =
    "skopeo --insecure-policy copy --quiet --src-tls-verify=false --dest-tls-verify=false";

/// Compares a `dir:` directory with an image in the registry; answers how many blobs it has.
fn compare_dir(sandbox: &Sandbox, dir: &str, repo: &str, reference: &str) -> usize {
    let manifest = sandbox.server.manifest(repo, reference);
    assert!(sandbox.read(&format!("{dir}/manifest.json")) == manifest.bytes);
    let mut blobs = manifest.layers();
    blobs.push(manifest.config());
    for blob in &blobs {
        let file = Path::new(dir).join(blob.replace("sha256:", ""));
        assert!(sandbox.read(file.to_str().unwrap()) == sandbox.server.blob(repo, blob));
    }
    blobs.len()
}

pub fn oci_layouts(sandbox: &Sandbox) {
    Layout::multi_arch(sandbox.path("source"));
    let source = layout_content(&sandbox.path("source"));
    let image = format!("docker://{}/team/app:v1", sandbox.server.host);
    sandbox.run(format!(
        "{COPY} --all --preserve-digests oci:source:v1 {image}"
    ));
    let index = sandbox.server.manifest("team/app", "v1");
    assert_eq!(index.media_type, OCI_INDEX);
    assert_eq!(index.digest, layout_digest(&sandbox.path("source")));
    assert_same(&sandbox.server.content("team/app", "v1"), &source);

    sandbox.run(format!(
        "{COPY} --all --preserve-digests {image} oci:back:v1"
    ));
    assert_same(&layout_content(&sandbox.path("back")), &source);

    // within the registry, then one platform of it alone
    let other = format!("docker://{}/other/app:v1", sandbox.server.host);
    sandbox.run(format!("{COPY} --all --preserve-digests {image} {other}"));
    assert_same(&sandbox.server.content("other/app", "v1"), &source);
    let copy_arm = COPY.replace("copy", "--override-arch arm64 copy");
    sandbox.run(format!("{copy_arm} --preserve-digests {image} dir:arm64"));
    let arm = text(&index.children()[1]["digest"]);
    assert_eq!(compare_dir(sandbox, "arm64", "team/app", &arm), 3);

    let inspect = "skopeo inspect --tls-verify=false";
    let raw = sandbox.run(format!("{inspect} --raw {image}"));
    assert!(raw.stdout.as_bytes() == index.bytes);
    let shown = sandbox.run(format!("{inspect} {image}")).json();
    assert_eq!(shown["Digest"], index.digest);
    assert_eq!(shown["RepoTags"], json!(["v1"]));
    assert_eq!(shown["Architecture"], "amd64");
    let amd = sandbox
        .server
        .manifest("team/app", &text(&index.children()[0]["digest"]));
    assert_eq!(shown["Layers"], json!(amd.layers()));
}

pub fn docker_format(sandbox: &Sandbox) {
    Layout::multi_arch(sandbox.path("source"));
    let host = &sandbox.server.host;
    let copy = format!("{COPY} --format v2s2");
    sandbox.run(format!(
        "{copy} --all oci:source:v1 docker://{host}/team/app:list"
    ));
    let list = sandbox.server.manifest("team/app", "list");
    assert_eq!(list.media_type, DOCKER_LIST);
    assert_eq!(sandbox.server.content("team/app", "list").len(), 8);

    sandbox.run(format!("{copy} oci:source:v1 docker://{host}/team/app:one"));
    let one = sandbox.server.manifest("team/app", "one");
    assert_eq!(one.media_type, DOCKER_MANIFEST);
    assert_eq!(one.digest, text(&list.children()[0]["digest"]));

    // out to a directory, back in under another name, and made an OCI image of again
    sandbox.run(format!("{COPY} docker://{host}/team/app:one dir:out"));
    assert_eq!(compare_dir(sandbox, "out", "team/app", "one"), 3);
    sandbox.run(format!(
        "{COPY} --preserve-digests dir:out docker://{host}/other/app:one"
    ));
    assert_eq!(sandbox.server.manifest("other/app", "one"), one);
    assert_eq!(compare_dir(sandbox, "out", "other/app", "one"), 3);
    sandbox.run(format!(
        "{COPY} --format oci docker://{host}/other/app:one docker://{host}/other/app:oci"
    ));
    let oci = sandbox.server.manifest("other/app", "oci");
    assert_eq!(oci.media_type, OCI_MANIFEST);
    assert_eq!(oci.layers(), one.layers());
}

pub fn delete(sandbox: &Sandbox) {
    Layout::multi_arch(sandbox.path("source"));
    let repo = format!("docker://{}/team/app", sandbox.server.host);
    for tag in ["v1", "v2"] {
        sandbox.run(format!(
            "{COPY} --all --preserve-digests oci:source:v1 {repo}:{tag}"
        ));
    }
    sandbox.run(format!("{COPY} oci:source:v1 {repo}:other"));
    let list_tags = format!("skopeo list-tags --tls-verify=false {repo}");
    assert_eq!(
        sandbox.run(&list_tags).json()["Tags"],
        json!(["other", "v1", "v2"])
    );

    // skopeo deletes the manifest that a tag leads to, and with it all its tags
    let digest = sandbox.server.manifest("team/app", "v1").digest;
    sandbox.run(format!("skopeo delete --tls-verify=false {repo}:v1"));
    assert!(sandbox.server.is_gone("team/app", "v1"));
    assert!(sandbox.server.is_gone("team/app", "v2"));
    assert!(sandbox.server.is_gone("team/app", &digest));
    assert_eq!(sandbox.run(&list_tags).json()["Tags"], json!(["other"]));
    sandbox.server.content("team/app", "other");
    sandbox.refused(format!("{COPY} {repo}:v1 dir:gone"));
}
