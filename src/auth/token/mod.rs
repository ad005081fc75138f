//! Method `token`: tokens signed by another server (distribution's `docs/content/spec/auth/{token,jwt,scope}.md`).

mod bundle;
pub(super) mod decode;
mod jwks;
mod key;
mod key_id;
mod settings;
mod validator;

#[cfg(test)]
mod tests;

pub(super) use jwks::Jwks;
pub(super) use key::{Key, PUBLIC as ALGORITHMS};
pub use settings::Settings as TokenSettings;
pub(super) use validator::Validator;
