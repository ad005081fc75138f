//! Our image in the place of `registry:2`'s, on its volume.

use std::fs;

use crate::engines::image::{Container, build, port};
use crate::harness::api::Api;
use crate::harness::engine;
use crate::harness::sandbox::Sandbox;
use crate::moving::in_place::wait_until_it_serves;
use crate::moving::served::Served;
use crate::moving::{pulls, pushes};

/// Libraries of Debian's `docker-registry`, which its image has too.
const LIBRARIES: [&str; 2] = [
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib64/ld-linux-x86-64.so.2",
];
const THEIR_CONFIGURATION: &str = "
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/registry}}
http: {addr: ':5000'}
";
const THEIR_DOCKERFILE: &str = r#"
FROM scratch
COPY root /
VOLUME /var/lib/registry
ENTRYPOINT ["/bin/registry", "serve", "/etc/docker/registry/config.yml"]
"#;

/// Builds an image like `registry:2` of Debian's `docker-registry`.
fn build_theirs(sandbox: &Sandbox) {
    let root = sandbox.path("registry-2/root");
    for (from, to) in [("/usr/bin/docker-registry", "/bin/registry")]
        .into_iter()
        .chain(LIBRARIES.map(|library| (library, library)))
    {
        let to = root.join(to.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
    sandbox.write(
        "registry-2/root/etc/docker/registry/config.yml",
        THEIR_CONFIGURATION,
    );
    sandbox.write("registry-2/Dockerfile", THEIR_DOCKERFILE);
    sandbox.run("docker build --quiet --tag registry:2 registry-2");
}

pub fn on_the_volume_of_registry_2(sandbox: &Sandbox) {
    let _engine = engine::start(sandbox);
    build(sandbox);
    build_theirs(sandbox);
    let address = format!("127.0.0.1:{}", port());
    // the line of a compose file, but for the image's name
    let options = format!("--env REGISTRY_HTTP_ADDR={address} --volume registry:/var/lib/registry");
    let before = {
        let _theirs = Container::run(
            sandbox,
            "registry",
            &format!("{options} registry:2"),
            &address,
        );
        pushes::docker_image(sandbox, &format!("{address}/docker/app:v1"), "one", "amd64");
        pushes::skopeo(sandbox, &address);
        Served::by(&Api::new(&address))
    };
    for image in ["tarkeep", "tarkeep:bare", "registry:2"] {
        let container =
            Container::run(sandbox, "registry", &format!("{options} {image}"), &address);
        wait_until_it_serves(sandbox, &address);
        Served::by(&Api::new(&address)).assert_same_as(&before);
        pulls::by_skopeo_and_docker(sandbox, &address, &before);
        drop(container);
    }
}
