//! Parts that this suite shares with the integration tests.

#[path = "../support/content.rs"]
pub mod content;
#[path = "../support/hub/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the integration tests use all of it"
)]
pub mod hub;

pub use content::sha256;
