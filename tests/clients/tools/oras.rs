//! oras: artifacts of files, and what is attached to them.

use crate::harness::api::{list, text};
use crate::harness::fixture::{assert_same, layout_content};
use crate::harness::sandbox::Sandbox;
use crate::support::content::{OCI_MANIFEST, noise};

/// Pushes an artifact of two files and attaches two more to it, one to the other; answers the
/// digests of the three.
fn push_and_attach(sandbox: &Sandbox) -> [String; 3] {
    sandbox.write("note.txt", "a note\n");
    sandbox.write("data.bin", noise(5, 6 << 20));
    sandbox.write("sbom.json", "{}\n");
    sandbox.write("signature", "signed\n");
    let repo = format!("{}/team/files", sandbox.server.host);
    let push = format!(
        "oras push --plain-http --format json --artifact-type application/vnd.test.files {repo}:v1"
    );
    let pushed = sandbox
        .run(format!("{push} note.txt:text/plain data.bin"))
        .json();
    let attach = "oras attach --plain-http --format json --artifact-type application/vnd.test";
    let sbom = sandbox
        .run(format!("{attach}.sbom {repo}:v1 sbom.json"))
        .json();
    let sbom = text(&sbom["digest"]);
    let signature = sandbox
        .run(format!("{attach}.signature {repo}@{sbom} signature"))
        .json();
    [text(&pushed["digest"]), sbom, text(&signature["digest"])]
}

pub fn artifacts(sandbox: &Sandbox) {
    let [files, sbom, signature] = push_and_attach(sandbox);
    let repo = format!("{}/team/files", sandbox.server.host);
    let manifest = sandbox.server.manifest("team/files", "v1");
    assert_eq!(manifest.digest, files);
    assert_eq!(manifest.media_type, OCI_MANIFEST);
    assert_eq!(
        manifest.json()["artifactType"],
        "application/vnd.test.files"
    );
    assert_eq!(sandbox.server.content("team/files", "v1").len(), 4);
    let fetched = sandbox.run(format!("oras manifest fetch --plain-http {repo}:v1"));
    assert!(fetched.stdout.as_bytes() == manifest.bytes);

    for (subject, referrer) in [(&files, &sbom), (&sbom, &signature)] {
        let referrers = sandbox.server.referrers("team/files", subject);
        assert_eq!(referrers.len(), 1);
        assert_eq!(text(&referrers[0]["digest"]), *referrer);
    }
    let discover = format!("oras discover --plain-http {repo}:v1");
    let found = sandbox.run(format!("{discover} --format json")).json();
    assert_eq!(list(&found["manifests"]).len(), 1);
    assert_eq!(
        found["manifests"][0]["artifactType"],
        "application/vnd.test.sbom"
    );
    let tree = sandbox.run(format!("{discover} --format tree")).stdout;
    assert!(tree.contains(&signature), "{tree}");
    let other = sandbox
        .run(format!(
            "{discover} --format json --artifact-type none/such"
        ))
        .json();
    assert!(list(&other["manifests"]).is_empty(), "{other}");

    sandbox.run(format!("oras pull --plain-http --output pulled {repo}:v1"));
    for file in ["note.txt", "data.bin"] {
        assert!(sandbox.read(&format!("pulled/{file}")) == sandbox.read(file));
    }
    sandbox.run(format!(
        "oras pull --plain-http --output pulled {repo}@{signature}"
    ));
    assert!(sandbox.read("pulled/signature") == sandbox.read("signature"));

    sandbox.run(format!("oras tag --plain-http {repo}:v1 v2 v3"));
    let tags = sandbox
        .run(format!("oras repo tags --plain-http {repo}"))
        .stdout;
    assert_eq!(tags.lines().collect::<Vec<_>>(), ["v1", "v2", "v3"]);
    let repos = sandbox
        .run(format!("oras repo ls --plain-http {}", sandbox.server.host))
        .stdout;
    assert_eq!(repos.trim(), "team/files");

    sandbox.run(format!(
        "oras manifest delete --plain-http --force {repo}@{signature}"
    ));
    assert!(sandbox.server.is_gone("team/files", &signature));
    assert!(sandbox.server.referrers("team/files", &sbom).is_empty());
}

pub fn copy(sandbox: &Sandbox) {
    let [files, sbom, signature] = push_and_attach(sandbox);
    let host = &sandbox.server.host;
    let original = sandbox.server.content("team/files", "v1");
    let copy = "oras cp --recursive --from-plain-http --to-plain-http";
    sandbox.run(format!("{copy} {host}/team/files:v1 {host}/other/files:v1"));
    assert_same(&sandbox.server.content("other/files", "v1"), &original);
    assert_eq!(
        text(&sandbox.server.referrers("other/files", &files)[0]["digest"]),
        sbom
    );
    assert_eq!(
        text(&sandbox.server.referrers("other/files", &sbom)[0]["digest"]),
        signature
    );

    // out to a layout and in again, referrers and all
    let out = "oras cp --recursive --from-plain-http --to-oci-layout";
    sandbox.run(format!("{out} {host}/team/files:v1 layout:v1"));
    let mut everything = original;
    for reference in [&sbom, &signature] {
        everything.extend(sandbox.server.content("team/files", reference));
    }
    assert_same(&layout_content(&sandbox.path("layout")), &everything);
    let back = "oras cp --recursive --from-oci-layout --to-plain-http";
    sandbox.run(format!("{back} layout:v1 {host}/third/files:v1"));
    assert_eq!(sandbox.server.manifest("third/files", "v1").digest, files);
    assert_eq!(
        text(&sandbox.server.referrers("third/files", &sbom)[0]["digest"]),
        signature
    );

    let blob = noise(6, 100_000);
    sandbox.write("blob", &blob);
    let digest = crate::support::content::sha256(&blob);
    sandbox.run(format!(
        "oras blob push --plain-http {host}/team/blobs@{digest} blob"
    ));
    assert!(sandbox.server.blob("team/blobs", &digest) == blob);
    sandbox.run(format!(
        "oras blob fetch --plain-http --output again {host}/team/blobs@{digest}"
    ));
    assert!(sandbox.read("again") == blob);
    sandbox.run(format!(
        "oras blob delete --plain-http --force {host}/team/blobs@{digest}"
    ));
    sandbox.refused(format!(
        "oras blob fetch --plain-http --output none {host}/team/blobs@{digest}"
    ));
}
