//! Command-line clients.

pub mod buildah;
pub mod cosign;
pub mod crane;
pub mod curl;
pub mod export;
pub mod helm;
pub mod import;
pub mod oras;
pub mod podman;
pub mod regctl;
pub mod skopeo;
