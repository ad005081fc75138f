//! BuildKit: attested images, and a build cache kept in the registry.

use crate::harness::api::{Manifest, list, text};
use crate::harness::sandbox::{Daemon, Sandbox};
use crate::harness::transport::Transport;
use crate::support::content::{OCI_INDEX, OCI_MANIFEST, noise};

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

/// Starts a builder for the sandbox's registry, whose state is called `name`, and empty.
fn builder(sandbox: &Sandbox, name: &str) -> Daemon {
    builder_for(sandbox, name, &sandbox.server.host, sandbox.transport)
}

/// The same for any registry.
pub fn builder_for(sandbox: &Sandbox, name: &str, host: &str, transport: Transport) -> Daemon {
    let dir = sandbox.path(name);
    let dir = dir.display();
    let config = format!(
        r#"root = "{dir}"
[grpc]
address = ["unix://{dir}.sock"]
[worker.containerd]
enabled = false
[registry."{host}"]
http = {}
"#,
        transport == Transport::Plain
    );
    sandbox.write(&format!("{name}.toml"), config);
    sandbox.set("BUILDKIT_HOST", format!("unix://{dir}.sock"));
    sandbox.daemon(
        format!("buildkitd --config {name}.toml"),
        "buildctl debug workers",
    )
}

pub fn context(sandbox: &Sandbox) {
    sandbox.write("context/big", noise(7, 2 << 20));
    sandbox.write("context/amd64", "built for amd64\n");
    sandbox.write("context/arm64", "built for arm64\n");
    sandbox.write("context/Dockerfile", DOCKERFILE);
}

/// Builds with more options; answers the progress shown.
pub fn build(sandbox: &Sandbox, options: &str) -> String {
    let printed = sandbox.run(format!(
        "buildctl build --frontend dockerfile.v0 --local context=context \
         --local dockerfile=context --progress plain {options}"
    ));
    printed.both()
}

/// Asserts that an index of team/app names images for two platforms, and provenance of each.
pub fn assert_attested(sandbox: &Sandbox, index: &Manifest) {
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
        let manifest = sandbox
            .server
            .manifest("team/app", &text(&attestation["digest"]));
        let statement = sandbox.server.blob("team/app", &manifest.layers()[0]);
        let statement: serde_json::Value = serde_json::from_slice(&statement).unwrap();
        assert!(
            text(&statement["predicateType"]).contains("provenance"),
            "{statement}"
        );
    }
    sandbox.server.content("team/app", &index.digest);
}

pub fn attested_multi_arch(sandbox: &Sandbox) {
    let mut first = builder(sandbox, "first");
    context(sandbox);
    let image = format!("{}/team/app:v1", sandbox.server.host);
    build(
        sandbox,
        &format!(
            "--opt platform=linux/amd64,linux/arm64 --opt attest:provenance=mode=max \
             --metadata-file built.json --output type=image,name={image},push=true"
        ),
    );
    first.stop();
    let built: serde_json::Value = serde_json::from_slice(&sandbox.read("built.json")).unwrap();
    let index = sandbox.server.manifest("team/app", "v1");
    assert_eq!(index.digest, text(&built["containerimage.digest"]));
    assert_attested(sandbox, &index);

    // another builder takes it for a base, for either platform
    let _second = builder(sandbox, "second");
    sandbox.write("context/Dockerfile", format!("FROM {image}\n"));
    for arch in ["amd64", "arm64"] {
        build(
            sandbox,
            &format!("--opt platform=linux/{arch} --output type=local,dest={arch}"),
        );
        assert!(sandbox.read(&format!("{arch}/copied")) == sandbox.read("context/big"));
        assert!(sandbox.read(&format!("{arch}/arch")) == sandbox.read(&format!("context/{arch}")));
    }
}

/// Builds with an empty builder, with a cache exported or imported; answers the image and how many
/// steps were cached.
fn build_cached(sandbox: &Sandbox, name: &str, options: &str) -> (Manifest, usize) {
    let mut builder = builder(sandbox, name);
    let image = format!("{}/team/app:{name}", sandbox.server.host);
    let progress = build(
        sandbox,
        &format!("--output type=image,name={image},push=true {options}"),
    );
    builder.stop();
    let manifest = sandbox.server.manifest("team/app", name);
    (manifest, progress.matches(" CACHED").count())
}

pub fn cache(sandbox: &Sandbox) {
    context(sandbox);
    let (plain, cached) = build_cached(sandbox, "control", "");
    assert_eq!(cached, 0);
    assert_eq!(plain.layers().len(), 2);
    for (name, as_image, media_type) in [("image", true, OCI_MANIFEST), ("index", false, OCI_INDEX)]
    {
        let cache = format!(
            "type=registry,ref={}/team/cache:{name}",
            sandbox.server.host
        );
        let export = format!(
            "--export-cache {cache},mode=max,oci-mediatypes=true,image-manifest={as_image}"
        );
        let (exported, cached) = build_cached(sandbox, &format!("{name}-exported"), &export);
        assert_eq!(cached, 0);
        let manifest = sandbox.server.manifest("team/cache", name);
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
            sandbox.server.blob("team/cache", blob);
        }

        let import = format!("--import-cache {cache}");
        let (imported, cached) = build_cached(sandbox, &format!("{name}-imported"), &import);
        assert_eq!(cached, STEPS);
        assert_eq!(imported.layers(), exported.layers());
    }
}
