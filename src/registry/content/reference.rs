//! How a request names a manifest.

use crate::oci::{Digest, TagName};

/// How a manifest is named in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestReference {
    Tag(TagName),
    Digest(Digest),
}
