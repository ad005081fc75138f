//! Authorization: the one place that decides what a client may do.
//!
//! The decision is a function of identity, address, access rules, action and resource.

use std::net::IpAddr;
use std::sync::Arc;

use super::identity::Identity;
use super::rights::Rights;
use super::rules::{AccessRules, Client, Subject, shortest};
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

    /// Returns the rules by which requests are judged; `None` if everybody who is admitted may do everything.
    pub fn rules(&self) -> Option<&Arc<AccessRules>> {
        self.rules.as_ref()
    }

    fn client(&self) -> Client<'_> {
        self.client_as(self.identity.subject())
    }

    pub(super) fn client_as<'c>(&self, subject: Subject<'c>) -> Client<'c> {
        Client {
            subject,
            address: self.address,
        }
    }

    /// Returns the rights in a repository, whether or not it exists.
    ///
    /// A token has those of its grant and of the access rules that name it, but none that its user does not have.
    pub fn rights(&self, repository: &str) -> Rights {
        let own = self.rights_by_rules(self.identity.subject(), repository);
        let Some(token) = self.identity.token_grant() else {
            return own.unwrap_or(Rights::ALL);
        };
        let rights = token.rights(repository) | own.unwrap_or(Rights::NONE);
        match token.owner() {
            Some(owner) => {
                let limit = self.rights_by_rules(Subject::User(owner), repository);
                rights & limit.unwrap_or(Rights::ALL)
            }
            None => rights,
        }
    }

    /// Returns the rights that access rules give to a login from the client's address; `None` without rules.
    pub(super) fn rights_by_rules(&self, subject: Subject<'_>, repository: &str) -> Option<Rights> {
        let rules = self.rules.as_ref()?;
        Some(rules.rights(self.client_as(subject), repository))
    }
}

/// Reports whether a client may do what `scope` names.
///
/// A token limits its bearer to the access that it lists. Access rules, if there are any, limit everybody.
pub fn is_authorized(requester: &Requester, scope: &Scope) -> bool {
    requester.identity.is_granted(scope) && is_allowed(requester, scope)
}

/// Reports whether the client's rights allow what `scope` names, whatever another server's token lists.
pub(in crate::auth) fn is_allowed(requester: &Requester, scope: &Scope) -> bool {
    match &scope.resource {
        // the list shows what the client may see
        Resource::Catalog => {
            let rules = requester.rules.as_ref();
            requester.identity.name().is_some()
                || rules.is_none_or(|rules| !rules.visible(requester.client()).is_empty())
        }
        Resource::Repository(name) => {
            let rights = requester.rights(name.as_str());
            match scope.permission {
                Permission::Pull => rights.contains(Rights::PULL),
                Permission::Push => rights.intersects(Rights::CREATE | Rights::UPDATE),
                Permission::Delete => rights.contains(Rights::DELETE),
                Permission::All => rights == Rights::ALL,
            }
        }
    }
}

/// Reports whether a client may read every repository, and so may mount a blob whose repository it does not name.
pub fn may_pull_everything(requester: &Requester) -> bool {
    requester.identity.is_unlimited() && matches!(visible(requester), Visible::All)
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
    if has_everywhere(requester, Rights::PULL) {
        return Visible::All;
    }
    let by_rules = requester
        .rules
        .as_ref()
        .map(|rules| rules.visible(requester.client()));
    let mut prefixes = match requester.identity.token_grant() {
        Some(token) => token.visible(),
        None => Vec::new(),
    };
    prefixes.extend(by_rules.unwrap_or_default());
    Visible::Prefixes(shortest(prefixes))
}

/// Reports whether a client may administer the registry: it has every right in every repository.
pub fn is_administrator(requester: &Requester) -> bool {
    requester.identity.is_unlimited() && has_everywhere(requester, Rights::ALL)
}

/// Reports whether a client may change how the registry is administered: its tokens, and what is sent to webhooks.
///
/// Without rules nobody may. A token that a passer-by made would outlast the rules that come later.
pub fn may_change_administration(requester: &Requester) -> bool {
    requester.rules.is_some() && is_administrator(requester)
}

/// Reports whether a client has these rights in every repository, by one rule or grant.
fn has_everywhere(requester: &Requester, rights: Rights) -> bool {
    let (rules, token) = (requester.rules.as_ref(), requester.identity.token_grant());
    let by_rules = |subject| {
        rules.is_none_or(|rules| rules.gives_everywhere(requester.client_as(subject), rights))
    };
    let own = requester.identity.subject();
    let Some(token) = token else {
        return by_rules(own);
    };
    let owner = token.owner().map(Subject::User);
    let is_given = token.gives_everywhere(rights) || (rules.is_some() && by_rules(own));
    is_given && owner.is_none_or(by_rules)
}

/// Reports whether a repository is in the lists that a client sees.
pub fn is_visible(requester: &Requester, repository: &str) -> bool {
    requester.rights(repository).contains(Rights::PULL)
}
