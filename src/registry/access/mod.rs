//! Logins to the page, tokens of machines and their last use, keys of the token service and of trusted issuers, and the audit log.

pub(super) mod audit;
pub(super) mod events;
pub(super) mod issuer_keys;
pub(super) mod refused_logins;
pub(super) mod session_times;
pub(super) mod sessions;
pub(super) mod signing_keys;
pub(super) mod token_uses;
pub(super) mod tokens;
