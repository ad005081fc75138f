//! A request's login, and the ways in which it fails.

use std::net::IpAddr;
use std::time::Duration;

use super::authorization::scope::Scope;
use crate::oci::RepositoryName;

/// Credentials of a request and the address they come from.
#[derive(Clone, Copy, Debug)]
pub struct Login<'r> {
    /// Value of the `Authorization` header.
    pub authorization: Option<&'r [u8]>,
    /// The client's address; `None` if it connected to a Unix socket.
    pub address: Option<IpAddr>,
    /// Value of the `User-Agent` header.
    pub user_agent: Option<&'r [u8]>,
    /// Proof of a session that stands in for credentials.
    pub session: Option<&'r str>,
}

/// Login by a form that was found right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormLogin {
    /// The login's name, as rules and logs have it.
    pub name: String,
    /// Mark that tells logins of one name apart.
    pub credential: Option<String>,
    /// Proof, to be judged again with each request of its session.
    pub proof: String,
}

/// Login that was refused, for the audit log.
#[derive(Clone, Copy, Debug)]
pub struct RefusedLogin<'r> {
    /// The user's name; empty if the login names none.
    pub user: &'r str,
    pub address: Option<IpAddr>,
    pub user_agent: Option<&'r str>,
    /// Why it was refused; `None` if the login itself was found right.
    pub reason: Option<&'r str>,
}

/// Reason why a login proves no identity.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rejection {
    /// Credentials are missing, or not accepted for the reason that a challenge names as `error`.
    Unauthenticated {
        error: Option<&'static str>,
        /// Why, for whoever is known to have had valid ones.
        message: Option<String>,
        /// Fault for the owner alone: told to the client, it would help to guess.
        fault: Option<&'static str>,
    },
    /// Failure to read the proof of a login.
    Unavailable,
    /// The address is locked out, or too many passwords wait to be checked.
    Throttled { wait: Duration },
}

/// Request for a token of the token service.
#[derive(Clone, Debug)]
pub struct TokenRequest<'r> {
    pub login: Login<'r>,
    /// User and password beside the `Authorization` header, which they replace.
    pub credentials: Option<(String, Vec<u8>)>,
    /// Scopes, several of them between spaces.
    pub scopes: &'r [String],
}

/// URLs by which a client reaches this registry.
#[derive(Clone, Debug)]
pub struct Site {
    /// Scheme and host, such as `https://registry.example.com`.
    pub address: String,
    /// Part of URLs before `/v2/`.
    pub base: String,
}

impl Login<'_> {
    /// Credentials without user and password, which podman and skopeo send if they have none.
    const EMPTY: &'static [u8] = b"Basic Og==";

    /// Reports whether the request brings no credentials.
    pub(super) fn is_absent(&self) -> bool {
        self.session.is_none() && self.authorization.is_none_or(|text| text == Self::EMPTY)
    }
}

impl Rejection {
    /// Rejects a login without giving a reason.
    pub(super) const UNAUTHENTICATED: Self = Self::Unauthenticated {
        error: None,
        message: None,
        fault: None,
    };

    /// Rejects a login for a reason that its client is not told.
    pub(super) const fn wrong(fault: &'static str) -> Self {
        Self::Unauthenticated {
            error: None,
            message: None,
            fault: Some(fault),
        }
    }
}

/// Reason why a request is refused.
#[derive(Debug)]
pub enum Refusal {
    /// Credentials are required, or better ones.
    Challenge {
        /// Value of `WWW-Authenticate`.
        challenge: String,
        /// Why those sent do not count, for whoever is known to have had valid ones.
        message: Option<String>,
        /// Fault of those sent, for the owner alone.
        fault: Option<&'static str>,
    },
    /// Failure to read the proof of a login.
    Unavailable,
    /// The address is locked out, or too many passwords wait to be checked.
    TooMany { wait: Duration },
    /// The client may not do this in a repository that it may see, or in the list of all.
    Denied(Scope),
    /// The client may not see the repository.
    Hidden(RepositoryName),
    /// Tokens are made by another server, or none are needed.
    NoTokenService,
}

impl From<Rejection> for Refusal {
    /// Refuses without a challenge, unless one is required that names the registry.
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Throttled { wait } => Self::TooMany { wait },
            Rejection::Unauthenticated { .. } | Rejection::Unavailable => Self::Unavailable,
        }
    }
}
