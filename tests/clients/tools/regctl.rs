//! regctl.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::api::{list, text};
use crate::harness::fixture::{Layout, assert_same, layout_content, layout_digest};
use crate::harness::sandbox::Sandbox;
use crate::support::content::{noise, sha256};

const CHUNK: usize = 1_000_000;

/// Plain HTTP where it is, and chunked uploads of whatever is more than one chunk.
fn configure(sandbox: &Sandbox) {
    sandbox.run(format!(
        "regctl registry set {} --tls=disabled --blob-chunk {CHUNK} --blob-max {CHUNK}",
        sandbox.server.host
    ));
}

pub fn copy_and_tags(sandbox: &Sandbox) {
    configure(sandbox);
    Layout::multi_arch(sandbox.path("source"));
    let source = layout_content(&sandbox.path("source"));
    let host = &sandbox.server.host;
    let image = format!("{host}/team/app:v1");
    sandbox.run(format!("regctl image copy ocidir://source:v1 {image}"));
    let index = sandbox.server.manifest("team/app", "v1");
    assert_eq!(index.digest, layout_digest(&sandbox.path("source")));
    assert_same(&sandbox.server.content("team/app", "v1"), &source);
    sandbox.run(format!("regctl image copy {image} ocidir://back:v1"));
    assert_same(&layout_content(&sandbox.path("back")), &source);
    sandbox.run(format!("regctl image copy {image} {host}/other/app:v1"));
    assert_same(&sandbox.server.content("other/app", "v1"), &source);

    let shown = sandbox.run(format!("regctl manifest get --format raw-body {image}"));
    assert!(shown.stdout.as_bytes() == index.bytes);
    let head = sandbox.run(format!("regctl manifest head {image}"));
    assert_eq!(head.line(), index.digest);
    for tag in ["v2", "v3"] {
        sandbox.run(format!("regctl image copy {image} {host}/team/app:{tag}"));
    }
    let lines = |line: String| {
        let printed = sandbox.run(line).stdout;
        printed.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        lines(format!("regctl tag ls {host}/team/app")),
        ["v1", "v2", "v3"]
    );
    // a page of one, and what comes after it
    let page = format!("regctl tag ls --limit 1 --last v1 {host}/team/app");
    assert_eq!(lines(page), ["v2"]);
    assert_eq!(
        lines(format!("regctl repo ls {host}")),
        ["other/app", "team/app"]
    );

    // a tag goes alone, a manifest with its tags
    sandbox.run(format!("regctl tag delete {host}/team/app:v2"));
    assert_eq!(sandbox.server.tags("team/app"), ["v1", "v3"]);
    assert_eq!(sandbox.server.manifest("team/app", &index.digest), index);
    sandbox.run(format!(
        "regctl manifest delete {host}/team/app@{}",
        index.digest
    ));
    assert!(sandbox.server.is_gone("team/app", "v3"));
    assert!(sandbox.server.is_gone("team/app", &index.digest));
}

pub fn blobs(sandbox: &Sandbox) {
    configure(sandbox);
    let host = &sandbox.server.host;
    let blob = noise(4, 5 * CHUNK + 17);
    let expected = sha256(&blob);
    let put = format!("regctl --verbosity trace blob put {host}/team/blobs");
    let printed = sandbox.run_with(put, &blob);
    assert_eq!(printed.line(), expected);
    let patches = printed.stderr.matches("PATCH").count();
    assert!(patches >= 5, "{patches} chunks:\n{}", printed.stderr);
    assert!(sandbox.server.blob("team/blobs", &expected) == blob);

    sandbox.run(format!(
        "regctl blob copy {host}/team/blobs {host}/other/blobs {expected}"
    ));
    assert!(sandbox.server.blob("other/blobs", &expected) == blob);
    sandbox.run(format!("regctl blob head {host}/other/blobs {expected}"));
    sandbox.run(format!("regctl blob delete {host}/team/blobs {expected}"));
    sandbox.refused(format!("regctl blob head {host}/team/blobs {expected}"));
    assert!(sandbox.server.blob("other/blobs", &expected) == blob);
}

fn digests(descriptors: &[Value]) -> BTreeSet<String> {
    descriptors
        .iter()
        .map(|descriptor| text(&descriptor["digest"]))
        .collect()
}

pub fn artifacts(sandbox: &Sandbox) {
    configure(sandbox);
    Layout::multi_arch(sandbox.path("source"));
    let host = &sandbox.server.host;
    let image = format!("{host}/team/app:v1");
    sandbox.run(format!("regctl image copy ocidir://source:v1 {image}"));
    let subject = sandbox.server.manifest("team/app", "v1").digest;
    for kind in ["sbom", "licence"] {
        let put = format!(
            "regctl artifact put --artifact-type application/vnd.test.{kind} \
             --annotation kind={kind} --subject {image}"
        );
        sandbox.run_with(put, kind.as_bytes());
    }

    let referrers = sandbox.server.referrers("team/app", &subject);
    let mut types: Vec<String> = referrers
        .iter()
        .map(|referrer| text(&referrer["artifactType"]))
        .collect();
    types.sort();
    assert_eq!(
        types,
        ["application/vnd.test.licence", "application/vnd.test.sbom"]
    );
    let shown = sandbox
        .run(format!("regctl artifact list --format body {image}"))
        .json();
    assert_eq!(digests(&list(&shown["manifests"])), digests(&referrers));
    // no tag stands in for the referrers API
    assert_eq!(sandbox.server.tags("team/app"), ["v1"]);

    let filter = "--filter-artifact-type application/vnd.test.sbom";
    let shown = sandbox
        .run(format!(
            "regctl artifact list --format body {filter} {image}"
        ))
        .json();
    let found = list(&shown["manifests"]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["annotations"], json!({"kind": "sbom"}));
    let got = sandbox.run(format!("regctl artifact get {filter} --subject {image}"));
    assert_eq!(got.stdout, "sbom");

    // a copy takes its referrers along, and they end with what they refer to
    sandbox.run(format!(
        "regctl image copy --referrers {image} {host}/other/app:v1"
    ));
    assert_eq!(sandbox.server.referrers("other/app", &subject).len(), 2);
    let sbom = text(&found[0]["digest"]);
    sandbox.run(format!("regctl manifest delete {host}/other/app@{sbom}"));
    assert_eq!(sandbox.server.referrers("other/app", &subject).len(), 1);
}
