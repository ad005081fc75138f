//! cosign: signatures and attestations beside the image, with a key and no transparency log.

use crate::harness::api::text;
use crate::harness::sandbox::Sandbox;
use crate::support::content::OCI_MANIFEST;

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

pub fn sign_and_attest(sandbox: &Sandbox) {
    crate::harness::fixture::Layout::multi_arch(sandbox.path("source"));
    let repo = format!("{}/team/app", sandbox.server.host);
    sandbox.run(format!(
        "skopeo --insecure-policy copy --quiet --all --preserve-digests --dest-tls-verify=false \
         oci:source:v1 docker://{repo}:v1"
    ));
    let image = sandbox.server.manifest("team/app", "v1").digest;
    sandbox.set("COSIGN_PASSWORD", "password");
    sandbox.run("cosign generate-key-pair");
    // neither log nor time stamps, and no roots to fetch
    sandbox.run("cosign signing-config create --out services.json");
    sandbox.run("cosign trusted-root create --out roots.json");

    let common = "--yes --allow-http-registry --key cosign.key --signing-config services.json \
                  --trusted-root roots.json";
    let verify = "--allow-http-registry --key cosign.pub --insecure-ignore-tlog";
    sandbox.refused(format!("cosign verify {verify} {repo}:v1"));
    sandbox.run(format!("cosign sign {common} {repo}@{image}"));
    let claims = sandbox
        .run(format!("cosign verify {verify} {repo}:v1"))
        .json();
    assert_eq!(
        claims[0]["critical"]["image"]["docker-manifest-digest"],
        image
    );

    let signatures = sandbox.server.referrers("team/app", &image);
    assert_eq!(signatures.len(), 1);
    assert_eq!(signatures[0]["mediaType"], OCI_MANIFEST);
    assert_eq!(signatures[0]["artifactType"], BUNDLE);
    let signature = sandbox
        .server
        .manifest("team/app", &text(&signatures[0]["digest"]));
    assert_eq!(signature.json()["subject"]["digest"], image);
    sandbox.server.content("team/app", &signature.digest);

    sandbox.write("predicate.json", r#"{"built": "here"}"#);
    sandbox.run(format!(
        "cosign attest {common} --type custom --predicate predicate.json {repo}@{image}"
    ));
    sandbox.run(format!(
        "cosign verify-attestation {verify} --type custom {repo}:v1"
    ));
    assert_eq!(sandbox.server.referrers("team/app", &image).len(), 2);
    // no tag stands in for the referrers API
    assert_eq!(sandbox.server.tags("team/app"), ["v1"]);
    let tree = sandbox
        .run(format!("cosign tree --allow-http-registry {repo}:v1"))
        .both();
    assert!(tree.contains(&signature.digest), "{tree}");

    // signed by another key
    sandbox.run("cosign generate-key-pair --output-key-prefix other");
    let other = verify.replace("cosign.pub", "other.pub");
    sandbox.refused(format!("cosign verify {other} {repo}:v1"));
}
