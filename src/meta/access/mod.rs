//! Who may do what: the tokens of machines, and the keys of the token service.

pub(super) mod signing_keys;
pub(super) mod token_changes;
pub(super) mod tokens;
