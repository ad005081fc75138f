//! buildah, as Debian has it.

use crate::harness::api::text;
use crate::harness::fixture::gunzip;
use crate::harness::sandbox::Sandbox;
use crate::support::content::{DOCKER_LIST, OCI_INDEX, noise, sha256};

fn with_store(sandbox: &Sandbox, name: &str) -> String {
    let dir = sandbox.dir().display();
    format!("buildah --root {dir}/{name} --runroot {dir}/run/{name} --storage-driver vfs")
}

/// Commits an image of two layers, the second of them for `arch` alone.
fn image(sandbox: &Sandbox, buildah: &str, arch: &str) -> String {
    sandbox.write("big", noise(3, 2 << 20));
    sandbox.write(arch, format!("built for {arch}\n"));
    let add = |from: &str, file: &str, to: &str| {
        let container = sandbox.run(format!("{buildah} from --arch {arch} {from}"));
        let container = container.line();
        sandbox.run(format!("{buildah} copy --quiet {container} {file} /{file}"));
        sandbox.run(format!(
            "{buildah} config --os linux --arch {arch} {container}"
        ));
        let commit = format!("{buildah} commit --quiet --rm --timestamp 0 {container} {to}");
        sandbox.run(commit).line().to_owned()
    };
    add("scratch", "big", &format!("localhost/base:{arch}"));
    add(
        &format!("localhost/base:{arch}"),
        arch,
        &format!("localhost/app:{arch}"),
    )
}

pub fn multi_arch(sandbox: &Sandbox) {
    let buildah = with_store(sandbox, "store");
    let fresh = with_store(sandbox, "fresh");
    let host = &sandbox.server.host;
    let ids = ["amd64", "arm64"].map(|arch| image(sandbox, &buildah, arch));
    sandbox.run(format!("{buildah} manifest create multi"));
    for id in &ids {
        sandbox.run(format!("{buildah} manifest add multi {id}"));
    }

    let push = format!("{buildah} manifest push --all --tls-verify=false --digestfile pushed");
    sandbox.run(format!("{push} multi docker://{host}/team/app:multi"));
    let index = sandbox.server.manifest("team/app", "multi");
    assert_eq!(index.media_type, OCI_INDEX);
    assert_eq!(index.digest.as_bytes(), sandbox.read("pushed"));
    assert_eq!(sandbox.server.content("team/app", "multi").len(), 8);

    // in Docker's format: another list, other manifests, the same layers
    sandbox.run(format!(
        "{push} --format v2s2 multi docker://{host}/team/app:docker"
    ));
    let docker = sandbox.server.manifest("team/app", "docker");
    assert_eq!(docker.media_type, DOCKER_LIST);
    assert_eq!(docker.digest.as_bytes(), sandbox.read("pushed"));
    sandbox.server.content("team/app", "docker");

    for (child, id) in index.children().iter().zip(&ids) {
        let arch = text(&child["platform"]["architecture"]);
        let manifest = sandbox.server.manifest("team/app", &text(&child["digest"]));
        assert_eq!(manifest.config(), format!("sha256:{id}"));
        let by_digest = format!("{host}/team/app@{}", manifest.digest);
        let pulled = sandbox.run(format!(
            "{fresh} pull --quiet --tls-verify=false {by_digest}"
        ));
        assert_eq!(pulled.line(), id);
        // what the fresh store writes out holds the layers it was given, as they were
        sandbox.run(format!(
            "{fresh} push --quiet --disable-compression {id} dir:{arch}-out"
        ));
        let own = gunzip(&sandbox.server.blob("team/app", &manifest.layers()[1]));
        assert!(String::from_utf8_lossy(&own).contains(&format!("built for {arch}\n")));
        let kept = format!("{arch}-out/{}", sha256(&own).replace("sha256:", ""));
        assert!(sandbox.read(&kept) == own);
    }
}
