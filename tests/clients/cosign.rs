//! cosign: signatures and attestations beside the image, with a key and no transparency log.

use crate::bench::Bench;
use crate::content::OCI_MANIFEST;
use crate::server::text;

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

pub fn sign_and_attest(bench: &Bench) {
    crate::fixture::Layout::multi_arch(bench.path("source"));
    let repo = format!("{}/team/app", bench.server.host);
    bench.run(format!(
        "skopeo --insecure-policy copy --quiet --all --preserve-digests --dest-tls-verify=false \
         oci:source:v1 docker://{repo}:v1"
    ));
    let image = bench.server.manifest("team/app", "v1").digest;
    bench.set("COSIGN_PASSWORD", "password");
    bench.run("cosign generate-key-pair");
    // neither log nor time stamps, and no roots to fetch
    bench.run("cosign signing-config create --out services.json");
    bench.run("cosign trusted-root create --out roots.json");

    let common = "--yes --allow-http-registry --key cosign.key --signing-config services.json \
                  --trusted-root roots.json";
    let verify = "--allow-http-registry --key cosign.pub --insecure-ignore-tlog";
    bench.refused(format!("cosign verify {verify} {repo}:v1"));
    bench.run(format!("cosign sign {common} {repo}@{image}"));
    let claims = bench
        .run(format!("cosign verify {verify} {repo}:v1"))
        .json();
    assert_eq!(
        claims[0]["critical"]["image"]["docker-manifest-digest"],
        image
    );

    let signatures = bench.server.referrers("team/app", &image);
    assert_eq!(signatures.len(), 1);
    assert_eq!(signatures[0]["mediaType"], OCI_MANIFEST);
    assert_eq!(signatures[0]["artifactType"], BUNDLE);
    let signature = bench
        .server
        .manifest("team/app", &text(&signatures[0]["digest"]));
    assert_eq!(signature.json()["subject"]["digest"], image);
    bench.server.content("team/app", &signature.digest);

    bench.write("predicate.json", r#"{"built": "here"}"#);
    bench.run(format!(
        "cosign attest {common} --type custom --predicate predicate.json {repo}@{image}"
    ));
    bench.run(format!(
        "cosign verify-attestation {verify} --type custom {repo}:v1"
    ));
    assert_eq!(bench.server.referrers("team/app", &image).len(), 2);
    // no tag stands in for the referrers API
    assert_eq!(bench.server.tags("team/app"), ["v1"]);
    let tree = bench
        .run(format!("cosign tree --allow-http-registry {repo}:v1"))
        .both();
    assert!(tree.contains(&signature.digest), "{tree}");

    // signed by another key
    bench.run("cosign generate-key-pair --output-key-prefix other");
    let other = verify.replace("cosign.pub", "other.pub");
    bench.refused(format!("cosign verify {other} {repo}:v1"));
}
