//! Who may do what, and who did: the tokens of machines and their last use, the keys of the token service, the audit log.

pub(super) mod audit;
pub(super) mod signing_keys;
pub(super) mod token_uses;
pub(super) mod tokens;
