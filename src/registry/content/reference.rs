//! References to manifests in requests.

use crate::oci::{Digest, TagName};

/// The tag or digest by which a request names a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestReference {
    Tag(TagName),
    Digest(Digest),
}
