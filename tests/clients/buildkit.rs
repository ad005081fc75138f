//! BuildKit: attested images, and a build cache kept in the registry.

use crate::bench::{Bench, Daemon};
use crate::content::{OCI_INDEX, OCI_MANIFEST, noise};
use crate::server::{Manifest, list, text};
use crate::transport::Transport;

const CACHE_CONFIG: &str = "application/vnd.buildkit.cacheconfig.v0";
const STEPS: usize = 3;

const DOCKERFILE: &str = "
FROM scratch AS first
COPY big /big
FROM scratch
ARG TARGETARCH
COPY --from=first /big /copied
COPY $TARGETARCH /arch
";

/// Starts a builder whose state is called `name`, and empty.
fn builder(bench: &Bench, name: &str) -> Daemon {
    let dir = bench.path(name);
    let dir = dir.display();
    let config = format!(
        r#"root = "{dir}"
[grpc]
address = ["unix://{dir}.sock"]
[worker.containerd]
enabled = false
[registry."{}"]
http = {}
"#,
        bench.server.host,
        bench.transport == Transport::Plain
    );
    bench.write(&format!("{name}.toml"), config);
    bench.set("BUILDKIT_HOST", format!("unix://{dir}.sock"));
    bench.daemon(
        format!("buildkitd --config {name}.toml"),
        "buildctl debug workers",
    )
}

fn context(bench: &Bench) {
    bench.write("context/big", noise(7, 2 << 20));
    bench.write("context/amd64", "built for amd64\n");
    bench.write("context/arm64", "built for arm64\n");
    bench.write("context/Dockerfile", DOCKERFILE);
}

/// Builds with more options; answers the progress shown.
fn build(bench: &Bench, options: &str) -> String {
    let printed = bench.run(format!(
        "buildctl build --frontend dockerfile.v0 --local context=context \
         --local dockerfile=context --progress plain {options}"
    ));
    printed.both()
}

/// Asserts that an index of team/app names images for two platforms, and provenance of each.
pub fn assert_attested(bench: &Bench, index: &Manifest) {
    assert_eq!(index.media_type, OCI_INDEX);
    let children = index.children();
    let platforms: Vec<String> = children
        .iter()
        .map(|child| {
            let platform = &child["platform"];
            format!(
                "{}/{}",
                text(&platform["os"]),
                text(&platform["architecture"])
            )
        })
        .collect();
    let unknown = "unknown/unknown";
    assert_eq!(platforms, ["linux/amd64", "linux/arm64", unknown, unknown]);
    for (child, attestation) in children[..2].iter().zip(&children[2..]) {
        let subject = &attestation["annotations"]["vnd.docker.reference.digest"];
        assert_eq!(*subject, child["digest"]);
        let manifest = bench
            .server
            .manifest("team/app", &text(&attestation["digest"]));
        let statement = bench.server.blob("team/app", &manifest.layers()[0]);
        let statement: serde_json::Value = serde_json::from_slice(&statement).unwrap();
        assert!(
            text(&statement["predicateType"]).contains("provenance"),
            "{statement}"
        );
    }
    bench.server.content("team/app", &index.digest);
}

pub fn attested_multi_arch(bench: &Bench) {
    let mut first = builder(bench, "first");
    context(bench);
    let image = format!("{}/team/app:v1", bench.server.host);
    build(
        bench,
        &format!(
            "--opt platform=linux/amd64,linux/arm64 --opt attest:provenance=mode=max \
             --metadata-file built.json --output type=image,name={image},push=true"
        ),
    );
    first.stop();
    let built: serde_json::Value = serde_json::from_slice(&bench.read("built.json")).unwrap();
    let index = bench.server.manifest("team/app", "v1");
    assert_eq!(index.digest, text(&built["containerimage.digest"]));
    assert_attested(bench, &index);

    // another builder takes it for a base, for either platform
    let _second = builder(bench, "second");
    bench.write("context/Dockerfile", format!("FROM {image}\n"));
    for arch in ["amd64", "arm64"] {
        build(
            bench,
            &format!("--opt platform=linux/{arch} --output type=local,dest={arch}"),
        );
        assert!(bench.read(&format!("{arch}/copied")) == bench.read("context/big"));
        assert!(bench.read(&format!("{arch}/arch")) == bench.read(&format!("context/{arch}")));
    }
}

/// Builds with an empty builder, with a cache exported or imported; answers the image and how many
/// steps were cached.
fn build_cached(bench: &Bench, name: &str, options: &str) -> (Manifest, usize) {
    let mut builder = builder(bench, name);
    let image = format!("{}/team/app:{name}", bench.server.host);
    let progress = build(
        bench,
        &format!("--output type=image,name={image},push=true {options}"),
    );
    builder.stop();
    let manifest = bench.server.manifest("team/app", name);
    (manifest, progress.matches(" CACHED").count())
}

pub fn cache(bench: &Bench) {
    context(bench);
    let (plain, cached) = build_cached(bench, "control", "");
    assert_eq!(cached, 0);
    assert_eq!(plain.layers().len(), 2);
    for (name, as_image, media_type) in [("image", true, OCI_MANIFEST), ("index", false, OCI_INDEX)]
    {
        let cache = format!("type=registry,ref={}/team/cache:{name}", bench.server.host);
        let export = format!(
            "--export-cache {cache},mode=max,oci-mediatypes=true,image-manifest={as_image}"
        );
        let (exported, cached) = build_cached(bench, &format!("{name}-exported"), &export);
        assert_eq!(cached, 0);
        let manifest = bench.server.manifest("team/cache", name);
        assert_eq!(manifest.media_type, media_type);
        // the layers of every stage, and the cache's own config
        let (blobs, config) = if as_image {
            let mut blobs = manifest.layers();
            blobs.push(manifest.config());
            (blobs, manifest.json()["config"]["mediaType"].clone())
        } else {
            let children = manifest.children();
            let last = list(&manifest.json()["manifests"]).pop().unwrap();
            let blobs = children
                .iter()
                .map(|child| text(&child["digest"]))
                .collect();
            (blobs, last["mediaType"].clone())
        };
        assert_eq!(config, CACHE_CONFIG);
        assert_eq!(blobs.len(), STEPS + 1);
        for blob in &blobs {
            bench.server.blob("team/cache", blob);
        }

        let import = format!("--import-cache {cache}");
        let (imported, cached) = build_cached(bench, &format!("{name}-imported"), &import);
        assert_eq!(cached, STEPS);
        assert_eq!(imported.layers(), exported.layers());
    }
}
