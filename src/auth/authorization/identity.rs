//! Identities that authentication proves.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rules::Subject;
use super::scope::{Permission, Resource, Scope};
use super::token_grant::TokenGrant;

/// Authenticated client: a user, a token, or anonymous if no login is required.
#[derive(Clone, Debug)]
pub struct Identity {
    name: Option<String>,
    /// Access that a token lists; `None` without a token.
    grants: Option<Arc<[Grant]>>,
    /// Token of this registry by which the client logged in.
    token: Option<Arc<TokenGrant>>,
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
    /// Creates the identity of a client that needs no login.
    pub(in crate::auth) fn anonymous() -> Self {
        Self {
            name: None,
            grants: None,
            token: None,
        }
    }

    /// Creates the identity of a user who has logged in.
    pub(in crate::auth) fn user(name: String) -> Self {
        Self {
            name: Some(name),
            grants: None,
            token: None,
        }
    }

    /// Creates the identity of a token that this registry has issued.
    pub(in crate::auth) fn token(token: Arc<TokenGrant>) -> Self {
        Self {
            name: None,
            grants: None,
            token: Some(token),
        }
    }

    /// Creates the identity of a token's bearer.
    pub(in crate::auth) fn bearer(name: Option<String>, grants: Vec<Grant>) -> Self {
        Self {
            name: name.filter(|name| !name.is_empty()),
            grants: Some(grants.into()),
            token: None,
        }
    }

    /// Limits the identity to the access that a token lists.
    pub(in crate::auth) fn limited_to(self, grants: Arc<[Grant]>) -> Self {
        Self {
            grants: Some(grants),
            ..self
        }
    }

    /// Returns the user's name, or `token:NAME`, if the login has one.
    pub fn name(&self) -> Option<&str> {
        match &self.token {
            Some(token) => Some(token.label()),
            None => self.name.as_deref(),
        }
    }

    /// Returns the id of the secret by which a token logged in.
    pub fn credential(&self) -> Option<&str> {
        self.token.as_deref().map(TokenGrant::secret)
    }

    /// Returns what access rules know of the client.
    pub(super) fn subject(&self) -> Subject<'_> {
        match (&self.token, &self.name) {
            (Some(token), _) => Subject::Token(token.name()),
            (None, Some(name)) => Subject::User(name),
            (None, None) => Subject::Anonymous,
        }
    }

    /// Returns the grant of the token by which the client logged in, if it did by one.
    pub(super) fn token_grant(&self) -> Option<&TokenGrant> {
        self.token.as_deref()
    }

    /// Reports whether the identity came without a token that limits it.
    pub(super) fn is_unlimited(&self) -> bool {
        self.grants.is_none()
    }

    /// Reports whether the token of a login, if it has one, lists the access that `scope` names.
    pub(in crate::auth) fn is_granted(&self, scope: &Scope) -> bool {
        let grants = self.grants.as_deref();
        grants.is_none_or(|grants| grants.iter().any(|grant| grant.allows(scope)))
    }
}
