//! A registry on a data directory of its own, made anew from time to time.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tarkeep::registry::{Actor, Registry, RegistrySettings};
use tokio::runtime::Runtime;

use crate::scratch;

/// Number of uses after which a registry makes room for an empty one.
const USES: usize = 5000;

/// A registry and the runtime in which its operations run.
pub struct Store {
    pub runtime: Runtime,
    pub registry: Registry,
    /// Data directory.
    pub root: PathBuf,
    uses: usize,
}

impl Store {
    /// Opens an empty registry.
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (registry, root) = open();
        Self {
            runtime,
            registry,
            root,
            uses: 0,
        }
    }

    /// Counts a use; after enough of them, the registry is an empty one.
    pub fn use_once(&mut self) {
        self.uses += 1;
        if self.uses.is_multiple_of(USES) {
            let former = self.root.clone();
            (self.registry, self.root) = open();
            check(&former.join("blobs"));
            std::fs::remove_dir_all(former).expect("removed");
        }
    }
}

/// Actor of everything that is done.
pub fn actor() -> Actor {
    Actor {
        name: Some("fuzz".to_owned()),
        ..Actor::default()
    }
}

fn open() -> (Registry, PathBuf) {
    let root = scratch::directory();
    let settings = RegistrySettings {
        sparse: true,
        reserve: 0,
        ..RegistrySettings::default()
    };
    (Registry::open(&root, settings).expect("a registry"), root)
}

/// Asserts that every file below a directory of blobs is one, and has the digest that names it.
fn check(directory: &Path) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let kind = path.symlink_metadata().expect("metadata").file_type();
        if kind.is_dir() {
            check(&path);
            continue;
        }
        assert!(kind.is_file(), "{path:?} is a {kind:?}");
        let content = std::fs::read(&path).expect("content");
        let hex = hex(&content);
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        assert!(
            name.len() != hex.len() || name == hex,
            "{path:?} has the digest {hex}"
        );
    }
}

fn hex(content: &[u8]) -> String {
    Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
