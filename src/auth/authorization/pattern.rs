//! Patterns of repository names in access rules.

use std::fmt;

use crate::oci::Glob;

/// Component that stands for the name of the client.
const USER: &str = "{user}";

/// Glob of repository names; the component `{user}` stands for the client's own name.
#[derive(Clone, Debug)]
pub struct RepositoryPattern {
    text: String,
    /// With a star in the place of each `{user}`.
    glob: Glob,
    /// Positions of the components that are `{user}`.
    users: Vec<usize>,
}

impl RepositoryPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// A sentence: globs that match no valid name, and a `{user}` that is part of a component or stands behind `**`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let components: Vec<_> = text.split('/').collect();
        let users: Vec<_> = (0..components.len())
            .filter(|position| components[*position] == USER)
            .collect();
        let rest = text.replace(USER, "*");
        let is_clear = users.is_empty() || !rest.contains('{');
        let is_whole = text.matches(USER).count() == users.len();
        let is_fixed = users
            .last()
            .is_none_or(|last| !components[..*last].iter().any(|part| part.contains("**")));
        if !(is_clear && is_whole && is_fixed) {
            return Err(format!(
                "in the pattern '{text}', {USER} must be a whole component, before any ** and without other braces, as in home/{USER}/**"
            ));
        }
        Ok(Self {
            glob: Glob::for_repositories(&rest)?,
            text: text.to_owned(),
            users,
        })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reports whether the pattern of a client, whose name is `user`, matches a repository.
    pub(super) fn matches(&self, repository: &str, user: Option<&str>) -> bool {
        let is_user =
            |position: &usize| user.is_some() && repository.split('/').nth(*position) == user;
        self.users.iter().all(is_user) && self.glob.matches(repository)
    }

    /// Returns the text with which every matching name begins; `None` if no name can match for lack of a client's name.
    pub(super) fn prefix(&self, user: Option<&str>) -> Option<String> {
        let filled = match (self.users.is_empty(), user) {
            (true, _) => self.text.clone(),
            (false, Some(user)) => self.text.replace(USER, user),
            (false, None) => return None,
        };
        let end = filled.find(['*', '?', '[', '{', '\\']);
        Some(filled[..end.unwrap_or(filled.len())].to_owned())
    }

    /// Returns the first component if it is the same for all names that match.
    pub(super) fn first_component(&self) -> Option<&str> {
        let first = self.text.split('/').next().unwrap_or_default();
        (!first.contains(['*', '?', '[', '{', '\\'])).then_some(first)
    }

    /// Reports whether the pattern matches every name.
    pub(super) fn is_everything(&self) -> bool {
        self.text == "**"
    }
}

impl PartialEq for RepositoryPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for RepositoryPattern {}

impl fmt::Display for RepositoryPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> RepositoryPattern {
        RepositoryPattern::parse(text).unwrap()
    }

    #[test]
    fn a_client_has_its_own_component_only() {
        let home = pattern("home/{user}/**");
        assert!(home.matches("home/ann/app", Some("ann")));
        assert!(!home.matches("home/ann/app", Some("bob")));
        assert!(!home.matches("home/ann/app", None));
        assert!(!home.matches("home/ann", Some("ann")), "below it only");
        assert!(!home.matches("home/ann/app", Some("ann/app")));
        // a name is no glob
        assert!(!home.matches("home/ann/app", Some("*")));
        assert_eq!(home.prefix(Some("ann")).unwrap(), "home/ann/");
        assert_eq!(home.prefix(None), None);
    }

    #[test]
    fn a_glob_that_cannot_be_judged_is_rejected() {
        for text in ["home/{user}x", "**/{user}", "a/{user}/{b,c}", "Team/**", ""] {
            assert!(RepositoryPattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_match_begins_with_the_prefix() {
        for (text, prefix) in [
            ("**", ""),
            ("team/**", "team/"),
            ("a/b", "a/b"),
            ("t?st/x", "t"),
        ] {
            assert_eq!(pattern(text).prefix(None).unwrap(), prefix);
        }
        assert_eq!(pattern("team/**").first_component(), Some("team"));
        assert_eq!(pattern("te*/x").first_component(), None);
    }
}
