//! Docker Engine, containerd and BuildKit.

pub mod buildkit;
pub mod collection;
pub mod containerd;
pub mod docker;
pub mod encrypted;
pub mod image;
pub mod switching;
