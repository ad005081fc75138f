//! Names that several modules share.

pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// Folder that nginx serves, relative to a server's directory.
pub const STATIC_ROOT: &str = "static";
