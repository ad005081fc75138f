//! Docker Engine in the two versions that people have.

use crate::harness::api::Manifest;
use crate::support::content::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};

/// A version of Docker Engine with its command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// 20.10 from Debian, with images in a store of its own.
    Debian,
    /// 29, with images in containerd's store, which it pushes and pulls by other code.
    V29,
}

impl Engine {
    pub const ALL: [Self; 2] = [Self::Debian, Self::V29];

    /// Suffix of the names of cases with this engine.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Debian => "",
            Self::V29 => "-29",
        }
    }

    /// Name under which a program of this engine is installed; other programs keep theirs.
    pub fn program(self, name: &str) -> &str {
        match (self, name) {
            (Self::V29, "docker") => "docker-29",
            (Self::V29, "dockerd") => "dockerd-29",
            _ => name,
        }
    }

    /// Media type of the manifests that it makes.
    pub const fn manifest_type(self) -> &'static str {
        match self {
            Self::Debian => DOCKER_MANIFEST,
            Self::V29 => OCI_MANIFEST,
        }
    }

    /// Media type of the lists that its command line makes of them.
    pub const fn list_type(self) -> &'static str {
        match self {
            Self::Debian => DOCKER_LIST,
            Self::V29 => OCI_INDEX,
        }
    }

    /// Returns what the engine calls the ID of an image.
    pub fn image_id(self, manifest: &Manifest) -> String {
        match self {
            Self::Debian => manifest.config(),
            Self::V29 => manifest.digest.clone(),
        }
    }

    /// Programs that it needs beside those a test names.
    pub const fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Debian => &[],
            Self::V29 => &["buildx"],
        }
    }
}
