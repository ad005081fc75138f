//! Distribution's method for trying logins out: any credentials are accepted.

use super::authorization::identity::Identity;
use super::authorization::scope::RequiredScopes;
use super::challenge;
use super::login::{Login, Rejection};

/// Method `silly` (distribution's `registry/auth/silly/access.go`).
pub(super) struct Silly {
    pub(super) realm: String,
    pub(super) service: String,
}

impl Silly {
    pub(super) fn authenticate(&self, login: Login<'_>) -> Result<Identity, Rejection> {
        match login.authorization {
            Some(text) if !text.is_empty() => Ok(Identity::user("silly".to_owned())),
            _ => Err(Rejection::UNAUTHENTICATED),
        }
    }

    /// Returns a bearer challenge, as distribution does, although no token is required.
    pub(super) fn challenge(&self, scopes: &RequiredScopes) -> String {
        challenge::bearer(&self.realm, &self.service, scopes, None)
    }
}
