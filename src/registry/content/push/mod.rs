//! Pushing manifests and mounting blobs.

pub(in crate::registry) mod change;
pub(in crate::registry) mod image_config;
pub(in crate::registry) mod manifest;
pub(in crate::registry) mod manifest_budget;
pub(in crate::registry) mod mount;
pub(in crate::registry) mod parsing_space;
pub(in crate::registry) mod promotion;
pub(in crate::registry) mod tag_changes;
pub(in crate::registry) mod validation;
