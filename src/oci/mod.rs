//! Vocabulary of the protocol: names, tags, digests, descriptors and manifests, parsed once at the edge.
//!
//! Nothing here accesses files, clocks or the network, so that every layer can use it.

mod digest;
mod glob;
mod image_config;
pub mod layout;
mod manifest;
mod media_type;
mod name;
mod outline;
mod platform_name;
mod referrer;
mod unambiguous;

pub use digest::{Algorithm, Digest, DigestError};
pub use glob::Glob;
pub use image_config::{BuildStep, ImageConfig};
pub use manifest::{Descriptor, Manifest, ManifestError, Platform, Reference};
pub use media_type::MediaType;
pub use name::{NameError, RepositoryName, TagName};
pub use outline::{MAX_DEPTH, Outline};
pub use platform_name::PlatformName;
pub use referrer::{ListedReferrer, Referrer, annotations};
pub use unambiguous::{check_image_config, check_manifest};
