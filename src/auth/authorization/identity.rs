//! Identities that authentication proves.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::member_grant::MemberGrant;
use super::rules::Subject;
use super::scope::{Permission, Resource, Scope};
use super::token_grant::TokenGrant;
use super::trust_grant::TrustGrant;

/// Authenticated client: a user, a person whom an issuer knows, a token, a login by another server's token, or anonymous if no login is required.
#[derive(Clone, Debug)]
pub struct Identity {
    who: Proven,
    /// Access that a token lists; `None` without a token.
    grants: Option<Arc<[Grant]>>,
}

/// Proof of a login.
#[derive(Clone, Debug)]
enum Proven {
    Nobody,
    User(String),
    /// A token of this registry.
    Token(Arc<TokenGrant>),
    /// A token of another server that is trusted.
    Trust(Arc<TrustGrant>),
    /// A person whom an issuer knows.
    Member(Arc<MemberGrant>),
}

/// Access to one resource that a token lists (`docs/content/spec/auth/jwt.md`).
///
/// Names are compared literally: distribution supports no patterns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::auth) struct Grant {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(default)]
    actions: Option<Vec<String>>,
}

impl Grant {
    pub(in crate::auth) fn new(resource: &Resource, permissions: &[Permission]) -> Self {
        let mut grant = Self {
            kind: resource.kind().to_owned(),
            name: resource.name().to_owned(),
            actions: None,
        };
        grant.add(permissions);
        grant
    }

    /// Reports whether the access is to this resource.
    pub(in crate::auth) fn is_of(&self, resource: &Resource) -> bool {
        (&*self.kind, &*self.name) == (resource.kind(), resource.name())
    }

    pub(in crate::auth) fn add(&mut self, permissions: &[Permission]) {
        let actions = self.actions.get_or_insert_default();
        for action in permissions.iter().map(|permission| permission.as_str()) {
            if !actions.iter().any(|known| known == action) {
                actions.push(action.to_owned());
            }
        }
    }

    fn allows(&self, scope: &Scope) -> bool {
        let actions = self.actions.as_deref().unwrap_or_default();
        // a star is every action, as in distribution
        self.is_of(&scope.resource)
            && actions
                .iter()
                .any(|action| action == "*" || action == scope.permission.as_str())
    }
}

impl Identity {
    fn of(who: Proven) -> Self {
        Self { who, grants: None }
    }

    /// Creates the identity of a client that needs no login.
    pub(in crate::auth) fn anonymous() -> Self {
        Self::of(Proven::Nobody)
    }

    /// Creates the identity of a user who has logged in.
    pub(in crate::auth) fn user(name: String) -> Self {
        Self::of(Proven::User(name))
    }

    /// Creates the identity of a token that this registry has issued.
    pub(in crate::auth) fn token(token: Arc<TokenGrant>) -> Self {
        Self::of(Proven::Token(token))
    }

    /// Creates the identity of a login by another server's token.
    pub(in crate::auth) fn trust(grant: Arc<TrustGrant>) -> Self {
        Self::of(Proven::Trust(grant))
    }

    /// Creates the identity of a person whom an issuer knows.
    pub(in crate::auth) fn member(grant: Arc<MemberGrant>) -> Self {
        Self::of(Proven::Member(grant))
    }

    /// Creates the identity of a token's bearer.
    pub(in crate::auth) fn bearer(name: Option<String>, grants: Vec<Grant>) -> Self {
        let name = name.filter(|name| !name.is_empty());
        Self::of(name.map_or(Proven::Nobody, Proven::User)).limited_to(grants.into())
    }

    /// Limits the identity to the access that a token lists.
    pub(in crate::auth) fn limited_to(self, grants: Arc<[Grant]>) -> Self {
        Self {
            grants: Some(grants),
            ..self
        }
    }

    /// Returns the user's name, `token:NAME` or `trust:NAME`, if the login has one.
    pub fn name(&self) -> Option<&str> {
        match &self.who {
            Proven::Nobody => None,
            Proven::User(name) => Some(name),
            Proven::Token(token) => Some(token.label()),
            Proven::Trust(grant) => Some(grant.label()),
            Proven::Member(grant) => Some(grant.name()),
        }
    }

    /// Returns what tells logins of one name apart: the id of a token's secret, or the subject of another server's token.
    pub fn credential(&self) -> Option<&str> {
        match &self.who {
            Proven::Nobody | Proven::User(_) => None,
            Proven::Token(token) => Some(token.secret()),
            Proven::Trust(grant) => Some(grant.subject()),
            Proven::Member(grant) => Some(grant.subject()),
        }
    }

    /// Returns what access rules know of the client.
    pub(super) fn subject(&self) -> Subject<'_> {
        match &self.who {
            Proven::Nobody => Subject::Anonymous,
            Proven::User(name) => Subject::User(name),
            Proven::Token(token) => Subject::Token(token.name()),
            Proven::Trust(grant) => Subject::Trust(grant.name(), grant.claims()),
            Proven::Member(grant) => Subject::Member(grant.name(), grant.groups()),
        }
    }

    /// Returns the grant of the token by which the client logged in, if it did by one.
    pub(super) fn token_grant(&self) -> Option<&TokenGrant> {
        match &self.who {
            Proven::Token(token) => Some(token),
            Proven::Nobody | Proven::User(_) | Proven::Trust(_) | Proven::Member(_) => None,
        }
    }

    /// Returns what another server's token has proved, if the client logged in by one.
    pub(in crate::auth) fn trust_grant(&self) -> Option<&TrustGrant> {
        match &self.who {
            Proven::Trust(grant) => Some(grant),
            Proven::Nobody | Proven::User(_) | Proven::Token(_) | Proven::Member(_) => None,
        }
    }

    /// Reports whether the identity came without a token that limits it.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.grants.is_none()
    }

    /// Reports whether the token of a login, if it has one, lists the access that `scope` names.
    pub(in crate::auth) fn is_granted(&self, scope: &Scope) -> bool {
        let grants = self.grants.as_deref();
        grants.is_none_or(|grants| grants.iter().any(|grant| grant.allows(scope)))
    }
}
