//! Authentication and authorization.
//!
//! [`Access`] authenticates a request by one of distribution's methods, which gives an [`Identity`], and asks
//! [`is_authorized`] for every scope that the request requires. Nothing here knows HTTP's types, SQL or the blob store;
//! how a [`Refusal`] looks on the wire is [`crate::http`]'s.

mod access;
mod authenticator;
mod authorization;
mod challenge;
mod current;
mod error;
mod issued;
mod login;
mod password;
mod settings;
mod silly;
mod stats;
mod throttle;
mod token;
mod trust;

pub use access::{Access, Prepared};
pub use authorization::{
    AccessRule, AccessRules, Claims, Client, Decision, Identity, Permission, RepositoryPattern,
    Requester, RequiredScopes, Resource, Rights, Scope, Subject, UserLimit, Visible, Who,
    is_administrator, is_authorized, is_visible, may_change_administration, may_pull_everything,
    visible,
};
pub use error::Error;
pub use issued::{Answer, IssuedToken, SigningKey, TokenRecord, TokenSecret, TokenSource};
pub use login::{FormLogin, Login, Refusal, RefusedLogin, Site, TokenRequest};
pub use password::{
    BcryptHash, DEFAULT_COST, Entry, HtpasswdSettings, MAX_COST, MIN_COST, UserError, entries,
    user_name,
};
pub use settings::{Challenge, Method, Settings};
pub use stats::Stats;
pub use token::TokenSettings;
pub use trust::{Requirement, TrustSettings};
