//! Tokens of machines, logins to the page, keys of the token service, and the audit log.

pub(super) mod audit;
pub(super) mod audit_filter;
pub(super) mod sessions;
pub(super) mod signing_keys;
pub(super) mod token_changes;
pub(super) mod tokens;
