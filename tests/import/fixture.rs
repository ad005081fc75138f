//! A store in the layout of `registry:2`, written as that writes it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::{Image, sha256};

/// Milliseconds since 1970 of the first file that a store writes, in 2023; each further one is a minute younger.
const FIRST: u64 = 1_700_000_000_000;

/// A store of `registry:2` below a root directory.
pub struct Store {
    root: PathBuf,
    minutes: std::cell::Cell<u64>,
}

impl Store {
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            minutes: std::cell::Cell::new(0),
        }
    }

    /// Directory of the store.
    pub fn path(&self) -> PathBuf {
        self.root.join("docker/registry/v2")
    }

    pub fn repository(&self, name: &str) -> PathBuf {
        self.path().join("repositories").join(name)
    }

    pub fn blob_path(&self, digest: &str) -> PathBuf {
        let (algorithm, hex) = digest.split_once(':').expect("a digest");
        self.path()
            .join(format!("blobs/{algorithm}/{}/{hex}/data", &hex[..2]))
    }

    /// Path of a link, such as `_layers` or `_manifests/revisions`, of a digest.
    pub fn link_path(&self, repository: &str, kind: &str, digest: &str) -> PathBuf {
        let digest = digest.replace(':', "/");
        self.repository(repository)
            .join(kind)
            .join(digest)
            .join("link")
    }

    pub fn tag_path(&self, repository: &str, tag: &str) -> PathBuf {
        self.repository(repository)
            .join("_manifests/tags")
            .join(tag)
            .join("current/link")
    }

    pub fn write(&self, path: &Path, content: &[u8]) {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, content).expect("a file");
        let minute = self.minutes.replace(self.minutes.get() + 1);
        let time = UNIX_EPOCH + Duration::from_millis(FIRST + minute * 60_000);
        set_time(path, time);
    }

    /// Stores content; returns its digest.
    pub fn blob(&self, content: &[u8]) -> String {
        let digest = sha256(content);
        self.write(&self.blob_path(&digest), content);
        digest
    }

    pub fn layer(&self, repository: &str, content: &[u8]) -> String {
        let digest = self.blob(content);
        self.write(
            &self.link_path(repository, "_layers", &digest),
            digest.as_bytes(),
        );
        digest
    }

    pub fn manifest(&self, repository: &str, content: &[u8]) -> String {
        let digest = self.blob(content);
        self.revision(repository, &digest);
        digest
    }

    pub fn revision(&self, repository: &str, digest: &str) {
        let path = self.link_path(repository, "_manifests/revisions", digest);
        self.write(&path, digest.as_bytes());
    }

    pub fn tag(&self, repository: &str, tag: &str, digest: &str) {
        let kind = format!("_manifests/tags/{tag}/index");
        self.write(
            &self.link_path(repository, &kind, digest),
            digest.as_bytes(),
        );
        self.write(&self.tag_path(repository, tag), digest.as_bytes());
    }

    /// Stores an image; returns the digest of its manifest.
    pub fn image(&self, repository: &str, tag: &str, image: &Image) -> String {
        for blob in image.layers.iter().chain([&image.config]) {
            self.layer(repository, blob);
        }
        let digest = self.manifest(repository, &image.manifest);
        self.tag(repository, tag, &digest);
        digest
    }

    /// Returns every file and directory with its content, mode, owner, time and number.
    pub fn snapshot(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        snapshot(&self.root.join("docker"), &mut found);
        found
    }
}

fn snapshot(path: &Path, found: &mut BTreeMap<PathBuf, String>) {
    let metadata = fs::symlink_metadata(path).expect("metadata");
    let content = if metadata.is_file() {
        sha256(&fs::read(path).expect("content"))
    } else {
        String::new()
    };
    let state = format!(
        "{content} {:o} {} {} {}.{} {}",
        metadata.mode(),
        metadata.uid(),
        metadata.gid(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ino()
    );
    found.insert(path.to_owned(), state);
    if metadata.is_dir() {
        for entry in fs::read_dir(path).expect("a directory") {
            snapshot(&entry.expect("an entry").path(), found);
        }
    }
}

fn set_time(path: &Path, time: SystemTime) {
    let file = fs::File::options().write(true).open(path).expect("a file");
    file.set_modified(time).expect("a time");
}
