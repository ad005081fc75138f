//! Who may do what, and who did: the tokens of machines, the keys of the token service, the audit log.

pub(super) mod audit;
pub(super) mod signing_keys;
pub(super) mod token_changes;
pub(super) mod tokens;
