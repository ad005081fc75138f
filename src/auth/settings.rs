//! The settings of access: how clients log in, and what they may do.

use std::sync::Arc;

use super::authorization::AccessRules;
use super::oidc::OidcSettings;
use super::password::HtpasswdSettings;
use super::token::TokenSettings;
use super::trust::TrustSettings;

/// Settings of access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub method: Method,
    pub challenge: Challenge,
    /// `None` if every client that is admitted may do everything.
    pub rules: Option<Arc<AccessRules>>,
    /// Issuers whose tokens are logins. There are rules if there are some, because these logins have no other rights.
    pub trust: Vec<TrustSettings>,
    /// Issuer at which people log in to the page. There are rules if there is one, for the same reason.
    pub oidc: Option<OidcSettings>,
}

/// Kind of challenge that asks for a login; methods `token` and `silly` have their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Challenge {
    /// Bearer if there are rules for anonymous clients, tokens or trusted issuers, else Basic.
    #[default]
    Auto,
    /// User and password with each request.
    Basic,
    /// A token of this registry's service.
    Bearer,
}

/// Method of authentication and its settings: distribution's `auth` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// No login is required.
    None,
    /// Any `Authorization` header is accepted.
    Silly { realm: String, service: String },
    /// Users and bcrypt hashes in a file.
    Htpasswd(HtpasswdSettings),
    /// Tokens signed by another server.
    Token(TokenSettings),
}
