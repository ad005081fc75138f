//! The configured method of authentication.

use super::password::HtpasswdSettings;
use super::token::TokenSettings;

/// Method of authentication and its settings: distribution's `auth` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settings {
    /// No login is required.
    None,
    /// Any `Authorization` header is accepted.
    Silly { realm: String, service: String },
    /// Users and bcrypt hashes in a file.
    Htpasswd(HtpasswdSettings),
    /// Tokens signed by another server.
    Token(TokenSettings),
}
