//! Who may do what: the tokens of machines.

pub(super) mod token_changes;
pub(super) mod tokens;
