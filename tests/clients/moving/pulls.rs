//! What the same clients find in a registry that has come into the place of the one that they pushed to.

use std::fs;

use crate::engines::buildkit;
use crate::harness::api::{list, text};
use crate::harness::engine_version::Engine;
use crate::harness::sandbox::Sandbox;
use crate::harness::transport::Transport;
use crate::moving::pushes::{SKOPEO_COPY, podman_with};
use crate::moving::served::Served;

/// Repositories of images for Docker Engine.
const IMAGES: [&str; 4] = ["docker/app", "podman/app", "skopeo/app", "buildkit/app"];
/// Steps of the build that were cached.
const STEPS: usize = 3;

/// Copies all that tags lead to with skopeo, and pulls all images with Docker Engine, each with an equal digest.
pub fn by_skopeo_and_docker(sandbox: &Sandbox, host: &str, served: &Served) {
    let mut images = 0;
    for ((repository, tag), manifest) in &served.tags {
        let image = format!("{host}/{repository}:{tag}");
        if is_copied(repository, tag) {
            by_skopeo(sandbox, &image, &manifest.bytes);
        } else {
            let line = format!("skopeo inspect --tls-verify=false --raw docker://{image}");
            assert!(
                sandbox.run(line).stdout.as_bytes() == manifest.bytes,
                "{image}"
            );
        }
        let is_image = IMAGES.contains(&repository.as_str()) && !tag.starts_with("sha256-");
        // 20.10 knows no layers in zstd
        if is_image && (tag != "zstd" || sandbox.engine == Engine::V29) {
            by_docker(
                sandbox,
                &format!("{host}/{repository}"),
                tag,
                &manifest.digest,
            );
            images += 1;
        }
    }
    assert!(images >= 3, "{images} images");
}

/// False for indexes that are no lists of images for skopeo: of blobs of a build cache, and of referrers.
fn is_copied(repository: &str, tag: &str) -> bool {
    let is_of_referrers = tag.starts_with("sha256-") && !tag.ends_with(".sig");
    !is_of_referrers && (repository, tag) != ("buildkit/cache", "index")
}

/// Copies an image with all its platforms; compares its manifest.
pub fn by_skopeo(sandbox: &Sandbox, image: &str, manifest: &[u8]) {
    let _ = fs::remove_dir_all(sandbox.path("copied"));
    sandbox.run(format!(
        "{SKOPEO_COPY} --all --preserve-digests docker://{image} dir:copied"
    ));
    assert!(sandbox.read("copied/manifest.json") == manifest, "{image}");
}

/// Pulls an image that the engine does not have; compares its digest.
pub fn by_docker(sandbox: &Sandbox, repository: &str, tag: &str, digest: &str) {
    let image = format!("{repository}:{tag}");
    sandbox.succeeds(format!("docker image rm --force {image}"), b"");
    sandbox.run(format!("docker pull {image}"));
    let inspected = sandbox.run(format!("docker image inspect {image}")).json();
    let digests: Vec<_> = list(&inspected[0]["RepoDigests"])
        .iter()
        .map(text)
        .collect();
    let expected = format!("{repository}@{digest}");
    assert!(digests.contains(&expected), "{expected}: {digests:?}");
    sandbox.run(format!("docker image rm --force {image}"));
}

/// Reads with the clients that pushed what skopeo and Docker Engine cannot use.
pub fn by_the_others(sandbox: &Sandbox, host: &str, round: &str) {
    let podman = podman_with(sandbox, round);
    for tag in ["v1", "zstd", "multi"] {
        sandbox.run(format!(
            "{podman} pull --quiet --tls-verify=false {host}/podman/app:{tag}"
        ));
    }
    sandbox.write(&format!("{round}-out/.keep"), "");
    sandbox.run(format!(
        "helm pull --plain-http --destination {round}-out oci://{host}/charts/web --version 1.0.0"
    ));
    assert!(sandbox.read(&format!("{round}-out/web-1.0.0.tgz")) == sandbox.read("web-1.0.0.tgz"));
    let verify = "cosign verify --allow-http-registry --key cosign.pub --insecure-ignore-tlog";
    sandbox.run(format!("{verify} {host}/skopeo/app:oci"));
    sandbox.run(format!(
        "{verify} --new-bundle-format=false {host}/skopeo/app:list"
    ));
    sandbox.run(format!(
        "oras pull --plain-http --output {round}-out {host}/files:v1"
    ));
    assert!(sandbox.read(&format!("{round}-out/note.txt")) == sandbox.read("note.txt"));
    let discover = format!("oras discover --plain-http --format json {host}/files:v1");
    let found = sandbox.run(discover).json();
    assert_eq!(
        found["manifests"][0]["artifactType"],
        "application/vnd.test.sbom"
    );
    for tag in ["index", "image"] {
        let name = format!("{round}-{tag}");
        let mut builder = buildkit::builder_for(sandbox, &name, host, Transport::Plain);
        let cache = format!("--import-cache type=registry,ref={host}/buildkit/cache:{tag}");
        let progress = buildkit::build(sandbox, &cache);
        builder.stop();
        assert_eq!(progress.matches(" CACHED").count(), STEPS, "{progress}");
    }
}
