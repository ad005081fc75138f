//! Reasons why a token is worth nothing.

/// Reason why a token is refused.
pub(in crate::auth) enum Void {
    /// Never issued: a failed login.
    Forged(&'static str),
    /// Issued, and no longer valid for this reason.
    Ended(String),
    /// The store cannot be read.
    Unreadable,
}
