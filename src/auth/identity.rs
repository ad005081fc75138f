//! Who makes a request.

use std::sync::Arc;

use serde::Deserialize;

use super::{RequiredScopes, Scope};

/// Somebody who was let in, and what they may do.
#[derive(Clone, Debug)]
pub struct Identity {
    name: Option<String>,
    rights: Rights,
}

#[derive(Clone, Debug)]
enum Rights {
    Everything,
    /// What a token lists.
    Listed(Arc<[Grant]>),
}

/// What a token allows of one resource (`docs/content/spec/auth/jwt.md`): the names are compared as they are, and no
/// pattern is one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Grant {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(default)]
    actions: Option<Vec<String>>,
}

impl Grant {
    fn allows(&self, scope: &Scope) -> bool {
        let actions = self.actions.as_deref().unwrap_or_default();
        let is_it = (&*self.kind, &*self.name) == (scope.resource.kind(), scope.resource.name());
        // a star is every action, as in distribution
        is_it
            && actions
                .iter()
                .any(|action| action == "*" || action == scope.permission.as_str())
    }
}

impl Identity {
    /// Nobody in particular, where nobody is asked.
    pub(super) fn anonymous() -> Self {
        Self {
            name: None,
            rights: Rights::Everything,
        }
    }

    /// A user who may do everything.
    pub(super) fn user(name: String) -> Self {
        Self {
            name: Some(name),
            rights: Rights::Everything,
        }
    }

    /// Somebody who may do what a token lists.
    pub(super) fn bearer(name: Option<String>, grants: Vec<Grant>) -> Self {
        Self {
            name: name.filter(|name| !name.is_empty()),
            rights: Rights::Listed(grants.into()),
        }
    }

    /// The user's name, where there was a login.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether this one may do something.
    pub fn may(&self, scope: &Scope) -> bool {
        match &self.rights {
            Rights::Everything => true,
            Rights::Listed(grants) => grants.iter().any(|grant| grant.allows(scope)),
        }
    }

    /// Whether this one may do whatever there is to do.
    pub fn may_everything(&self) -> bool {
        matches!(self.rights, Rights::Everything)
    }

    /// Whether this one may do everything that a request needs.
    pub fn may_all(&self, wanted: &RequiredScopes) -> bool {
        wanted.required.iter().all(|scope| self.may(scope))
    }
}
