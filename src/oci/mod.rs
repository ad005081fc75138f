//! The vocabulary of the protocol: names, tags, digests, descriptors and manifests, parsed once at the edge.
//!
//! Nothing here reads a file, a clock or the network, so that every layer above can speak it.

mod digest;
mod manifest;
mod media_type;
mod name;

pub use digest::{Algorithm, Digest, DigestError};
pub use manifest::{Descriptor, Manifest, ManifestError, Platform, Reference};
pub use media_type::MediaType;
pub use name::{NameError, RepositoryName, TagName};
