//! Authorization: identities, the scopes that requests require, and the decision whether one allows the other.

mod authorize;
mod claims;
mod decision;
pub(super) mod identity;
mod member_grant;
mod pattern;
mod rights;
mod rule;
mod rules;
pub(super) mod scope;
mod token_grant;
mod trust_grant;
mod unreadable;

pub(super) use authorize::is_allowed;
pub use authorize::{
    Requester, Visible, is_administrator, is_authorized, is_visible, may_change_administration,
    may_pull_everything, visible,
};
pub use claims::Claims;
pub use decision::{Decision, UserLimit};
pub use identity::Identity;
pub(super) use member_grant::MemberGrant;
pub use pattern::RepositoryPattern;
pub use rights::Rights;
pub use rule::{AccessRule, Who};
pub use rules::{AccessRules, Client, Subject};
pub use scope::{Permission, RequiredScopes, Resource, Scope};
pub(super) use token_grant::TokenGrant;
pub(super) use trust_grant::TrustGrant;
