//! Authorization: the one place that decides what a client may do.
//!
//! The decision is a function of identity, address, access rules, action and resource.

use std::net::IpAddr;
use std::sync::Arc;

use super::identity::Identity;
use super::rights::Rights;
use super::rules::{AccessRules, Client};
use super::scope::{Permission, Resource, Scope};

/// Client of a request, with the access rules in force when the request was admitted.
///
/// The whole request is judged by these rules, even if they change meanwhile.
#[derive(Clone, Debug)]
pub struct Requester {
    pub(in crate::auth) identity: Identity,
    pub(in crate::auth) address: Option<IpAddr>,
    /// `None` if everybody who is admitted may do everything.
    pub(in crate::auth) rules: Option<Arc<AccessRules>>,
}

impl Requester {
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    fn client(&self) -> Client<'_> {
        Client {
            name: self.identity.name(),
            address: self.address,
        }
    }

    /// Returns the rights that the access rules give in a repository, whether or not it exists.
    pub fn rights(&self, repository: &str) -> Rights {
        let rules = self.rules.as_ref();
        rules.map_or(Rights::ALL, |rules| rules.rights(self.client(), repository))
    }
}

/// Reports whether a client may do what `scope` names.
///
/// A token limits its bearer to the access that it lists. Access rules, if there are any, limit everybody.
pub fn is_authorized(requester: &Requester, scope: &Scope) -> bool {
    requester.identity.is_granted(scope) && is_allowed(requester, scope)
}

/// Reports whether the access rules allow what `scope` names, whatever a token grants.
pub(in crate::auth) fn is_allowed(requester: &Requester, scope: &Scope) -> bool {
    let Some(rules) = &requester.rules else {
        return true;
    };
    match &scope.resource {
        // the list shows what the client may see
        Resource::Catalog => {
            requester.identity.name().is_some() || !rules.visible(requester.client()).is_empty()
        }
        Resource::Repository(name) => {
            let rights = rules.rights(requester.client(), name.as_str());
            match scope.permission {
                Permission::Pull => rights.contains(Rights::PULL),
                Permission::Push => rights.intersects(Rights::CREATE | Rights::UPDATE),
                Permission::Delete => rights.contains(Rights::DELETE),
                Permission::All => rights == Rights::ALL,
            }
        }
    }
}

/// Reports whether a client may pull from every repository.
pub fn may_pull_everything(requester: &Requester) -> bool {
    let rules = requester.rules.as_ref();
    requester.identity.is_unlimited()
        && rules.is_none_or(|rules| rules.is_everything_visible(requester.client()))
}

/// Names of repositories that a client may see.
#[derive(Debug)]
pub enum Visible {
    All,
    /// Those with one of these prefixes, if [`is_visible`] says so. They are sorted, none within another.
    Prefixes(Vec<String>),
}

/// Returns what a client sees in a list of repositories.
pub fn visible(requester: &Requester) -> Visible {
    match &requester.rules {
        Some(rules) if !rules.is_everything_visible(requester.client()) => {
            Visible::Prefixes(rules.visible(requester.client()))
        }
        _ => Visible::All,
    }
}

/// Reports whether a repository is in the lists that a client sees.
pub fn is_visible(requester: &Requester, repository: &str) -> bool {
    requester.rights(repository).contains(Rights::PULL)
}
