//! buildah, as Debian has it.

use crate::bench::Bench;
use crate::content::{DOCKER_LIST, OCI_INDEX, noise, sha256};
use crate::fixture::gunzip;
use crate::server::text;

fn with_store(bench: &Bench, name: &str) -> String {
    let dir = bench.dir().display();
    format!("buildah --root {dir}/{name} --runroot {dir}/run/{name} --storage-driver vfs")
}

/// Commits an image of two layers, the second of them for `arch` alone.
fn image(bench: &Bench, buildah: &str, arch: &str) -> String {
    bench.write("big", noise(3, 2 << 20));
    bench.write(arch, format!("built for {arch}\n"));
    let add = |from: &str, file: &str, to: &str| {
        let container = bench.run(format!("{buildah} from --arch {arch} {from}"));
        let container = container.line();
        bench.run(format!("{buildah} copy --quiet {container} {file} /{file}"));
        bench.run(format!(
            "{buildah} config --os linux --arch {arch} {container}"
        ));
        let commit = format!("{buildah} commit --quiet --rm --timestamp 0 {container} {to}");
        bench.run(commit).line().to_owned()
    };
    add("scratch", "big", &format!("localhost/base:{arch}"));
    add(
        &format!("localhost/base:{arch}"),
        arch,
        &format!("localhost/app:{arch}"),
    )
}

pub fn multi_arch(bench: &Bench) {
    let buildah = with_store(bench, "store");
    let fresh = with_store(bench, "fresh");
    let host = &bench.server.host;
    let ids = ["amd64", "arm64"].map(|arch| image(bench, &buildah, arch));
    bench.run(format!("{buildah} manifest create multi"));
    for id in &ids {
        bench.run(format!("{buildah} manifest add multi {id}"));
    }

    let push = format!("{buildah} manifest push --all --tls-verify=false --digestfile pushed");
    bench.run(format!("{push} multi docker://{host}/team/app:multi"));
    let index = bench.server.manifest("team/app", "multi");
    assert_eq!(index.media_type, OCI_INDEX);
    assert_eq!(index.digest.as_bytes(), bench.read("pushed"));
    assert_eq!(bench.server.content("team/app", "multi").len(), 8);

    // in Docker's format: another list, other manifests, the same layers
    bench.run(format!(
        "{push} --format v2s2 multi docker://{host}/team/app:docker"
    ));
    let docker = bench.server.manifest("team/app", "docker");
    assert_eq!(docker.media_type, DOCKER_LIST);
    assert_eq!(docker.digest.as_bytes(), bench.read("pushed"));
    bench.server.content("team/app", "docker");

    for (child, id) in index.children().iter().zip(&ids) {
        let arch = text(&child["platform"]["architecture"]);
        let manifest = bench.server.manifest("team/app", &text(&child["digest"]));
        assert_eq!(manifest.config(), format!("sha256:{id}"));
        let by_digest = format!("{host}/team/app@{}", manifest.digest);
        let pulled = bench.run(format!(
            "{fresh} pull --quiet --tls-verify=false {by_digest}"
        ));
        assert_eq!(pulled.line(), id);
        // what the fresh store writes out holds the layers it was given, as they were
        bench.run(format!(
            "{fresh} push --quiet --disable-compression {id} dir:{arch}-out"
        ));
        let own = gunzip(&bench.server.blob("team/app", &manifest.layers()[1]));
        assert!(String::from_utf8_lossy(&own).contains(&format!("built for {arch}\n")));
        let kept = format!("{arch}-out/{}", sha256(&own).replace("sha256:", ""));
        assert!(bench.read(&kept) == own);
    }
}
