//! Who may do what: the tokens of machines and their last use, and the keys of the token service.

pub(super) mod signing_keys;
pub(super) mod token_uses;
pub(super) mod tokens;
