//! The method of authentication in force.

use super::authorization::identity::Identity;
use super::authorization::scope::RequiredScopes;
use super::error::Error;
use super::login::{Login, Rejection};
use super::password::{Credentials, Htpasswd};
use super::settings::Method;
use super::silly::Silly;
use super::stats::Stats;
use super::token::Validator;

/// Method of authentication, with its caches and lockouts.
pub(super) enum Authenticator {
    None,
    Silly(Silly),
    Htpasswd(Box<Htpasswd>),
    Token(Box<Validator>),
}

impl Authenticator {
    pub(super) fn open(method: &Method) -> Result<Self, Error> {
        Ok(match method.clone() {
            Method::None => Self::None,
            Method::Silly { realm, service } => Self::Silly(Silly { realm, service }),
            Method::Htpasswd(settings) => Self::Htpasswd(Box::new(Htpasswd::open(settings)?)),
            Method::Token(settings) => Self::Token(Box::new(Validator::open(settings)?)),
        })
    }

    /// Finds out who makes a request; `credentials` are the user and password in it, if there are some.
    pub(super) async fn authenticate(
        &self,
        login: Login<'_>,
        credentials: Option<Credentials>,
        stats: &Stats,
    ) -> Result<Identity, Rejection> {
        match self {
            Self::None => Ok(Identity::anonymous()),
            Self::Silly(silly) => silly.authenticate(login),
            // boxed: every open connection reserves room for the largest future of a request
            Self::Htpasswd(htpasswd) => {
                Box::pin(htpasswd.authenticate(login, credentials, stats)).await
            }
            Self::Token(validator) => Box::pin(validator.authenticate(login)).await,
        }
    }

    /// Returns the users of the file, if the method has one.
    pub(super) fn users(&self) -> Option<&Htpasswd> {
        match self {
            Self::Htpasswd(htpasswd) => Some(htpasswd),
            Self::None | Self::Silly(_) | Self::Token(_) => None,
        }
    }

    /// Returns the challenge that the method prescribes; `None` if the registry's own applies.
    pub(super) fn challenge(
        &self,
        scopes: &RequiredScopes,
        site: &str,
        error: Option<&str>,
    ) -> Option<String> {
        match self {
            Self::Silly(silly) => Some(silly.challenge(scopes)),
            Self::Token(validator) => Some(validator.challenge(scopes, site, error)),
            Self::None | Self::Htpasswd(_) => None,
        }
    }
}
