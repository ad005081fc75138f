//! Decisions with their reasons, for those who ask why.

use super::authorize::Requester;
use super::rights::Rights;
use super::rules::{AccessRules, Client, Subject};

/// Rights of a client in a repository, and what allows those that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub rights: Rights,
    /// Number, from 0, of the first rule that allows all of it alone.
    pub rule: Option<usize>,
    /// True if the token's own grant allows all of it alone.
    pub is_granted: bool,
    /// Limit of a token: what its user may do there.
    pub user: Option<UserLimit>,
}

/// Limit of a token that was made for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserLimit {
    /// Every right without access rules.
    pub rights: Rights,
    /// Number, from 0, of the first rule that allows the user all of it alone.
    pub rule: Option<usize>,
}

impl Decision {
    /// Decides by access rules alone.
    pub fn by_rules(
        rules: &AccessRules,
        client: Client<'_>,
        repository: &str,
        wanted: Rights,
    ) -> Self {
        Self {
            rights: rules.rights(client, repository),
            rule: rules.deciding(client, repository, wanted),
            is_granted: false,
            user: None,
        }
    }
}

impl Requester {
    /// Decides as for a request, and says why.
    pub fn decide(&self, repository: &str, wanted: Rights) -> Decision {
        let rule = |subject| {
            let rules = self.rules.as_ref()?;
            rules.deciding(self.client_as(subject), repository, wanted)
        };
        let token = self.identity.token_grant();
        let user = token
            .and_then(|token| token.owner())
            .map(|owner| UserLimit {
                rights: self
                    .rights_by_rules(Subject::User(owner), repository)
                    .unwrap_or(Rights::ALL),
                rule: rule(Subject::User(owner)),
            });
        Decision {
            rights: self.rights(repository),
            rule: rule(self.identity.subject()),
            is_granted: token.is_some_and(|token| token.rights(repository).contains(wanted)),
            user,
        }
    }
}
