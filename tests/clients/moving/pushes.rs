//! What real clients push: images for one and for several platforms, charts, signatures, build caches, artifacts.

use crate::engines::buildkit;
use crate::engines::docker::pushed;
use crate::harness::fixture::Layout;
use crate::harness::sandbox::Sandbox;
use crate::harness::transport::Transport;
use crate::support::content::noise;

pub const SKOPEO_COPY: &str =
    "skopeo --insecure-policy copy --quiet --src-tls-verify=false --dest-tls-verify=false";
const COSIGN: &str =
    "cosign sign --yes --allow-http-registry --key cosign.key --trusted-root roots.json";

/// Pushes with every client to the registry at `host`. Docker Engine must run.
pub fn everything(sandbox: &Sandbox, host: &str) {
    docker(sandbox, host);
    podman(sandbox, host);
    skopeo(sandbox, host);
    helm(sandbox, host);
    cosign(sandbox, host);
    build_cache(sandbox, host);
    oras(sandbox, host);
}

/// Builds an image of `content` with Docker Engine, and pushes it.
pub fn docker_image(sandbox: &Sandbox, image: &str, content: &str, arch: &str) {
    sandbox.write("docker/big", noise(1, 300_000));
    sandbox.write("docker/file", content);
    sandbox.write(
        "docker/Dockerfile",
        "FROM scratch\nCOPY big /\nCOPY file /\n",
    );
    sandbox.run(format!(
        "docker build --quiet --platform linux/{arch} --tag {image} docker"
    ));
    pushed(sandbox, image);
}

/// A tag that moves, images for two platforms, and the list of them.
fn docker(sandbox: &Sandbox, host: &str) {
    let image = format!("{host}/docker/app");
    for content in ["first", "second"] {
        docker_image(sandbox, &format!("{image}:latest"), content, "amd64");
    }
    for arch in ["amd64", "arm64"] {
        docker_image(sandbox, &format!("{image}:{arch}"), arch, arch);
    }
    sandbox.run(format!(
        "docker manifest create --insecure {image}:multi {image}:amd64 {image}:arm64"
    ));
    sandbox.run(format!(
        "docker manifest push --insecure --purge {image}:multi"
    ));
}

/// The start of podman's command line, with its images in `store`.
pub fn podman_with(sandbox: &Sandbox, store: &str) -> String {
    let dir = sandbox.dir().display();
    format!(
        "podman --root {dir}/{store} --runroot {dir}/run/{store} --storage-driver vfs \
         --cgroup-manager cgroupfs"
    )
}

fn podman(sandbox: &Sandbox, host: &str) {
    let podman = podman_with(sandbox, "podman-store");
    let image = format!("{host}/podman/app");
    sandbox.write("podman/amd64", "amd64");
    sandbox.write("podman/arm64", "arm64");
    sandbox.write(
        "podman/Dockerfile",
        "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /arch\n",
    );
    let build = format!("{podman} build --layers");
    sandbox.run(format!(
        "{build} --platform linux/amd64 --tag {image}:v1 podman"
    ));
    let push = format!("{podman} push --tls-verify=false");
    sandbox.run(format!("{push} {image}:v1"));
    sandbox.run(format!(
        "{push} --compression-format zstd {image}:v1 docker://{image}:zstd"
    ));
    let list = format!("{image}:multi");
    sandbox.run(format!(
        "{build} --platform linux/amd64,linux/arm64 --manifest {list} podman"
    ));
    sandbox.run(format!(
        "{podman} manifest push --all --tls-verify=false {list} docker://{list}"
    ));
}

/// An index as it is in a layout, and the same images in Docker's format.
pub fn skopeo(sandbox: &Sandbox, host: &str) {
    Layout::multi_arch(sandbox.path("layout"));
    let copy = format!("{SKOPEO_COPY} --all");
    let image = format!("docker://{host}/skopeo/app");
    sandbox.run(format!(
        "{copy} --preserve-digests oci:layout:v1 {image}:oci"
    ));
    sandbox.run(format!("{copy} --format v2s2 oci:layout:v1 {image}:list"));
}

fn helm(sandbox: &Sandbox, host: &str) {
    sandbox.run("helm create web");
    for version in ["1.0.0", "1.1.0"] {
        sandbox.run(format!("helm package web --version {version}"));
        sandbox.run(format!(
            "helm push --plain-http web-{version}.tgz oci://{host}/charts"
        ));
    }
}

/// A signature as a referrer, and one as cosign made them before.
fn cosign(sandbox: &Sandbox, host: &str) {
    sandbox.set("COSIGN_PASSWORD", "password");
    sandbox.run("cosign generate-key-pair");
    sandbox.run("cosign signing-config create --out services.json");
    sandbox.run("cosign trusted-root create --out roots.json");
    let image = format!("{host}/skopeo/app");
    let by_tag = |tag: &str| {
        let line = format!(
            "skopeo inspect --tls-verify=false --format {{{{.Digest}}}} docker://{image}:{tag}"
        );
        format!("{image}@{}", sandbox.run(line).line())
    };
    sandbox.run(format!(
        "{COSIGN} --signing-config services.json {}",
        by_tag("oci")
    ));
    sandbox.run(format!(
        "{COSIGN} --use-signing-config=false --new-bundle-format=false --tlog-upload=false {}",
        by_tag("list")
    ));
}

/// A build cache as an index of blobs, and one as an image.
fn build_cache(sandbox: &Sandbox, host: &str) {
    buildkit::context(sandbox);
    let mut builder = buildkit::builder_for(sandbox, "pushing", host, Transport::Plain);
    for (tag, as_image) in [("index", false), ("image", true)] {
        let cache = format!("type=registry,ref={host}/buildkit/cache:{tag},mode=max");
        let output = format!("--output type=image,name={host}/buildkit/app:{tag},push=true");
        buildkit::build(
            sandbox,
            &format!(
                "{output} --opt attest:provenance=mode=max \
                 --export-cache {cache},oci-mediatypes=true,image-manifest={as_image}"
            ),
        );
    }
    builder.stop();
}

/// An artifact with one attached to it.
fn oras(sandbox: &Sandbox, host: &str) {
    sandbox.write("note.txt", "a note\n");
    sandbox.write("sbom.json", "{}\n");
    sandbox.run(format!(
        "oras push --plain-http --artifact-type application/vnd.test.files {host}/files:v1 note.txt:text/plain"
    ));
    sandbox.run(format!(
        "oras attach --plain-http --artifact-type application/vnd.test.sbom {host}/files:v1 sbom.json"
    ));
}
