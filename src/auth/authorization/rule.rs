//! One access rule, as configured.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::claims::Names;
use super::pattern::RepositoryPattern;
use super::rights::Rights;

/// Clients that an access rule is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// Everybody, with or without a login.
    Anonymous,
    /// Everybody who has logged in.
    Users,
    /// The members of a group.
    Group(String),
    User(String),
    /// A token of this registry.
    Token(String),
    /// A login by a token of another server that the section `trust` names.
    Trust(String),
}

/// Grant of rights in repositories to clients. Rules only add rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    pub repositories: Vec<RepositoryPattern>,
    pub who: Vec<Who>,
    /// Networks of the clients; empty for all.
    pub from: Vec<IpNet>,
    pub may: Rights,
}

impl Who {
    /// Parses `anonymous`, `users`, `@GROUP`, `token:NAME`, `trust:NAME`, `user:NAME` or a user's name.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let named = |name: &str| match name {
            "" => Err(format!("'{text}' names nobody")),
            name => Ok(name.to_owned()),
        };
        match text {
            "anonymous" => Ok(Self::Anonymous),
            "users" => Ok(Self::Users),
            _ => match (text.strip_prefix('@'), text.split_once(':')) {
                (Some(group), _) => named(group).map(Self::Group),
                (None, Some(("user", name))) => named(name).map(Self::User),
                (None, Some(("token", name))) => named(name).map(Self::Token),
                (None, Some(("trust", name))) => named(name).map(Self::Trust),
                (None, Some((kind, _))) => Err(format!(
                    "'{kind}:' in '{text}' is unknown: write anonymous, users, @GROUP, token:NAME, trust:NAME, or the name of a user"
                )),
                (None, None) => named(text).map(Self::User),
            },
        }
    }
}

impl Who {
    /// Reports whether some of these clients have all the names that a pattern refers to.
    pub fn has_names_of(&self, pattern: &RepositoryPattern) -> bool {
        let is_of_claims = pattern.claims().next().is_some();
        match self {
            Self::Anonymous => !(pattern.is_of_user() && is_of_claims),
            Self::Users | Self::Group(_) | Self::User(_) => !is_of_claims,
            Self::Token(_) => !pattern.is_of_user() && !is_of_claims,
            Self::Trust(_) => !pattern.is_of_user(),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => formatter.write_str("anonymous"),
            Self::Users => formatter.write_str("users"),
            Self::Group(name) => write!(formatter, "@{name}"),
            Self::User(name) => formatter.write_str(name),
            Self::Token(name) => write!(formatter, "token:{name}"),
            Self::Trust(name) => write!(formatter, "trust:{name}"),
        }
    }
}

impl AccessRule {
    /// Reports whether a client at `address` is in the rule's networks. A client on a Unix socket is in none.
    pub(super) fn is_from(&self, address: Option<IpAddr>) -> bool {
        let is_in = |address: IpAddr| {
            let address = address.to_canonical();
            self.from.iter().any(|network| network.contains(&address))
        };
        self.from.is_empty() || address.is_some_and(is_in)
    }

    /// Returns the first of its patterns that matches a repository, for a client of these names.
    pub(super) fn matching(
        &self,
        repository: &str,
        names: Names<'_>,
    ) -> Option<&RepositoryPattern> {
        let mut patterns = self.repositories.iter();
        patterns.find(|pattern| pattern.matches(repository, names))
    }
}
