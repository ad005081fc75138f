//! A request's login, and the ways in which it fails.

use std::net::IpAddr;
use std::time::Duration;

/// Credentials of a request and the address they come from.
#[derive(Clone, Copy, Debug)]
pub struct Login<'r> {
    /// Value of the `Authorization` header.
    pub authorization: Option<&'r [u8]>,
    /// The client's address; `None` if it connected to a Unix socket.
    pub address: Option<IpAddr>,
}

/// Reason why a login proves no identity.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rejection {
    /// Credentials are missing, or not accepted for the reason that a challenge names as `error`.
    Unauthenticated { error: Option<&'static str> },
    /// The address is locked out, or too many passwords wait to be checked.
    Throttled { wait: Duration },
}

impl Rejection {
    /// Rejects a login without giving a reason.
    pub(super) const UNAUTHENTICATED: Self = Self::Unauthenticated { error: None };
}

/// Reason why a request is refused.
#[derive(Debug)]
pub enum Refusal {
    /// Credentials are required, or better ones: the value of `WWW-Authenticate`.
    Challenge(String),
    /// The address is locked out, or too many passwords wait to be checked.
    TooMany { wait: Duration },
}
