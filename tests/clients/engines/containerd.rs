//! containerd 2 and ctr: the transfer service fetches a layer as ranges, several at a time.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::harness::fixture::{Layout, assert_same, layout_content, tar};
use crate::harness::sandbox::{Daemon, Sandbox};
use crate::support::content::noise;

const BIG: usize = 40 << 20;
const RANGE: usize = 4 << 20;

/// Starts containerd with a root called `name`; ctr finds it.
pub fn containerd(sandbox: &Sandbox, name: &str) -> Daemon {
    let dir = sandbox.path(name);
    let dir = dir.display();
    let config = format!(
        r#"version = 3
root = "{dir}"
state = "{dir}.state"
[grpc]
address = "{dir}.sock"
[debug]
level = "debug"
[plugins."io.containerd.internal.v1.opt"]
path = "{dir}.opt"
[plugins."io.containerd.transfer.v1.local"]
max_concurrent_downloads = 4
concurrent_layer_fetch_buffer = {RANGE}
"#
    );
    sandbox.write(&format!("{name}.toml"), config);
    sandbox.set("CONTAINERD_ADDRESS", format!("{dir}.sock"));
    sandbox.daemon(format!("containerd --config {name}.toml"), "ctr version")
}

/// A file as it was unpacked from the image's layers.
fn unpacked(sandbox: &Sandbox, name: &str, file: &str) -> Vec<u8> {
    let snapshots = sandbox
        .path(name)
        .join("io.containerd.snapshotter.v1.overlayfs/snapshots");
    let paths: Vec<PathBuf> = fs::read_dir(snapshots)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("fs").join(file))
        .filter(|path| path.exists())
        .collect();
    assert_eq!(paths.len(), 1, "{file}");
    fs::read(&paths[0]).unwrap()
}

/// Start offsets of the ranges that containerd received, read from its log.
fn range_starts(log: &str) -> BTreeSet<usize> {
    log.split(r#"content-range="bytes "#)
        .skip(1)
        .filter_map(|rest| rest.split_once('-'))
        .filter_map(|(start, _)| start.parse().ok())
        .collect()
}

pub fn parallel_pull(sandbox: &Sandbox) {
    let files = [("big", BIG), ("middle", 3 << 20), ("small", 1000)];
    let layers: Vec<Vec<u8>> = files
        .iter()
        .map(|(name, len)| tar(name, &noise(*len as u64, *len)))
        .collect();
    let layout = Layout::new(sandbox.path("source"));
    layout.tag("v1", &layout.plain_image("amd64", &layers));
    drop(layers);
    let source = layout_content(&sandbox.path("source"));
    sandbox.run("tar --create --file source.tar --directory source .");
    let image = format!("{}/team/app:v1", sandbox.server.host);

    let mut first = containerd(sandbox, "first");
    let base = image.trim_end_matches(":v1");
    sandbox.run(format!(
        "ctr images import --base-name {base} --all-platforms source.tar"
    ));
    let login = sandbox.transport.login("--user");
    sandbox.run(format!("ctr images push --plain-http {login} {image}"));
    first.stop();
    assert_same(&sandbox.server.content("team/app", "v1"), &source);

    let mut second = containerd(sandbox, "second");
    sandbox.run(format!("ctr images pull --plain-http {login} {image}"));
    let listed = sandbox.run("ctr images ls").stdout;
    assert!(
        listed.contains(&sandbox.server.manifest("team/app", "v1").digest),
        "{listed}"
    );
    for (name, len) in files {
        assert!(unpacked(sandbox, "second", name) == noise(len as u64, len));
    }
    let log = second.stop();
    let stored = sandbox.path("second/io.containerd.content.v1.content");
    assert_same(&layout_content(&stored), &source);
    let starts = range_starts(&log);
    let expected: BTreeSet<usize> = (0..BIG).step_by(RANGE).collect();
    assert!(starts.is_superset(&expected), "{starts:?}");
}
