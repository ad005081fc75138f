//! Names of a client that patterns of repositories refer to: the user's, and claims of another server's token.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::oci::RepositoryName;

/// Claims of a login that access rules refer to: parts of repository names, by the claim's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Claims(BTreeMap<String, String>);

impl Claims {
    /// Keeps the claims that can be part of a repository's name, in lower case, as all these names are.
    pub fn new(claims: impl IntoIterator<Item = (String, String)>) -> Self {
        let part = |(name, value): (String, String)| {
            let value = value.to_ascii_lowercase();
            RepositoryName::parse(&value).ok().map(|_| (name, value))
        };
        Self(claims.into_iter().filter_map(part).collect())
    }
}

/// Names of one client.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Names<'c> {
    pub(super) user: Option<&'c str>,
    pub(super) claims: Option<&'c Claims>,
}

impl<'c> Names<'c> {
    /// Returns the names of a user, who has no claims.
    pub(super) fn of_user(user: Option<&'c str>) -> Self {
        Self { user, claims: None }
    }
}

/// Component of a pattern that stands for a name of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Placeholder {
    /// `{user}`.
    User,
    /// `{claim.NAME}`.
    Claim(String),
}

impl Placeholder {
    /// Parses a whole component; `None` if it stands for itself.
    pub(super) fn parse(component: &str) -> Option<Self> {
        let name = component.strip_prefix('{')?.strip_suffix('}')?;
        match name.strip_prefix("claim.") {
            None => (name == "user").then_some(Self::User),
            Some("") => None,
            Some(claim) => {
                (!claim.contains(['{', '}', ','])).then(|| Self::Claim(claim.to_owned()))
            }
        }
    }

    /// Reports whether a text holds something that looks like a placeholder.
    pub(super) fn is_in(text: &str) -> bool {
        text.contains("{user}") || text.contains("{claim.")
    }

    /// Returns what it stands for: one component of a user, one or more of a claim.
    pub(super) fn value<'c>(&self, names: Names<'c>) -> Option<&'c str> {
        match self {
            Self::User => names.user.filter(|user| !user.contains('/')),
            Self::Claim(name) => names.claims?.0.get(name).map(String::as_str),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parts_of_names_are_kept() {
        let pairs = [
            ("repository", "Acme/App"),
            ("ref", "refs/heads/feature_1"),
            ("path", "../etc"),
            ("glob", "*"),
            ("empty", ""),
            ("ends", "acme/"),
        ];
        let claims = Claims::new(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let kept: Vec<_> = claims
            .0
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(
            kept,
            [("ref", "refs/heads/feature_1"), ("repository", "acme/app")]
        );
    }
}
