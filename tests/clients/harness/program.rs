//! Finds the client programs. Only Debian's directories and the one that `tests/clients/install`
//! fills are searched, so that a client of another version in PATH is never tested by mistake.

use std::env;
use std::path::PathBuf;

/// The PATH that clients and daemons run with.
pub const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Built by `install`; Debian has none of them, or too old a one.
const BUILT: &[&str] = &[
    "buildctl",
    "buildkitd",
    "buildx",
    "containerd",
    "cosign",
    "crane",
    "ctr",
    "docker-29",
    "dockerd-29",
    "helm",
    "kubernetes-validate",
    "oras",
    "pebble",
    "pebble-challtestsrv",
    "regctl",
];

pub fn find(name: &str) -> Option<PathBuf> {
    let found = if BUILT.contains(&name) {
        built_dir().join(name)
    } else {
        PATH.split(':')
            .map(|dir| PathBuf::from(dir).join(name))
            .find(|path| path.is_file())?
    };
    found.is_file().then_some(found)
}

fn built_dir() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache"),
        PathBuf::from,
    );
    cache.join("registry-clients/bin")
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
