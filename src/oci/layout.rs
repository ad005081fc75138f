//! Names in an image layout: images as files (OCI image-spec 1.1, "OCI Image Layout").

use serde::{Deserialize, Serialize};

use super::digest::{Algorithm, Digest};
use super::manifest::Descriptor;

/// Name of the file that marks a layout.
pub const MARK_FILE: &str = "oci-layout";
/// Content of that file.
pub const MARK: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
/// Name of the file that lists the images.
pub const INDEX_FILE: &str = "index.json";
/// Name of the file with which `docker load` finds its images, beside a layout or without one.
pub const DOCKER_FILE: &str = "manifest.json";

/// Annotation by which most tools find an image: its tag, or any other short name.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Annotation with the whole name of an image: `REPOSITORY:TAG` or `REPOSITORY@DIGEST`, some with a host before it.
pub const IMAGE_NAME: &str = "io.containerd.image.name";
/// Annotation with the exact name here, which no host was put before: `REPOSITORY:TAG`, or the `REPOSITORY` alone of what
/// has no tag.
///
/// Only this registry writes it. An entry without [`IMAGE_NAME`] is a signature or another referrer, which other tools must
/// not take for an image.
pub const OWN_NAME: &str = "io.tarkeep.name";

/// Content of [`INDEX_FILE`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LayoutIndex {
    pub schema_version: u32,
    #[serde(default)]
    pub media_type: String,
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
}

/// Returns the path of a blob or manifest in a layout.
pub fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex())
}

/// Returns the digest of the content at a path of a layout; `None` for any other path.
pub fn digest_at(path: &str) -> Option<Digest> {
    let (algorithm, hex) = path.strip_prefix("blobs/")?.split_once('/')?;
    let algorithm = Algorithm::parse(algorithm).ok()?;
    Digest::parse(&format!("{}:{hex}", algorithm.as_str())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_digests_and_back() {
        for (algorithm, length) in [("sha256", 64), ("sha512", 128)] {
            let digest = Digest::parse(&format!("{algorithm}:{}", "a".repeat(length))).unwrap();
            assert_eq!(digest_at(&blob_path(&digest)), Some(digest));
        }
        let hex = "a".repeat(64);
        for path in [
            "index.json".to_owned(),
            format!("blobs/sha256/{hex}/"),
            format!("./blobs/sha256/{hex}"),
            format!("blobs/sha1/{hex}"),
            format!("blobs/sha256/../{hex}"),
        ] {
            assert_eq!(digest_at(&path), None, "{path}");
        }
    }
}
