//! Logins by tokens of other servers that the section `trust` names (OpenID Connect): keyless CI.
//!
//! A token is sent as the password of any user. It must be signed by a key of its issuer, made for this registry, and have
//! the claims that its owner requires.

mod claims;
mod issuer;
mod keys;
mod requirement;
mod settings;
mod trusted;
mod verification;

pub(super) use claims::{find, text, texts};
pub(super) use issuer::{Description, Issuer};
pub(super) use keys::{IssuerKeys, Issuers};
pub use requirement::Requirement;
pub use settings::TrustSettings;
pub(super) use trusted::{Judge, Trust};
pub(super) use verification::verified_claims;
