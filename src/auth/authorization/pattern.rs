//! Patterns of repository names in access rules.

use std::fmt;

use super::claims::{Names, Placeholder};
use crate::oci::Glob;

/// Glob of repository names; the components `{user}` and `{claim.NAME}` stand for names of the client.
#[derive(Clone, Debug)]
pub struct RepositoryPattern {
    text: String,
    /// With a star in the place of each placeholder.
    glob: Glob,
    /// Placeholders with their positions among the components.
    placeholders: Vec<(usize, Placeholder)>,
}

impl RepositoryPattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// A sentence: globs that match no valid name, words in braces that stand for nothing, `**` within a component, and a
    /// placeholder that is part of a component or stands behind `**`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let components: Vec<_> = text.split('/').collect();
        let placeholders: Vec<_> = (components.iter().enumerate())
            .filter_map(|(position, text)| Some((position, Placeholder::parse(text)?)))
            .collect();
        let mut starred = components.clone();
        for (position, _) in &placeholders {
            starred[*position] = "*";
        }
        let rest = starred.join("/");
        let is_clear = match &placeholders[..] {
            [] => !Placeholder::is_in(text),
            _ => !rest.contains('{'),
        };
        let is_fixed = placeholders
            .last()
            .is_none_or(|(last, _)| !components[..*last].iter().any(|part| part.contains("**")));
        if !(is_clear && is_fixed) {
            return Err(format!(
                "in the pattern '{text}', {{user}} and {{claim.NAME}} must be whole components, before any ** and without other braces, as in home/{{user}}/**"
            ));
        }
        if let Some(word) = Glob::lone_word(&rest) {
            return Err(format!(
                "in the pattern '{text}', {{{word}}} stands for nothing: write {{user}} or {{claim.NAME}}, or take the braces out"
            ));
        }
        Glob::check_stars(&rest)?;
        Ok(Self {
            glob: Glob::for_repositories(&rest)?,
            text: text.to_owned(),
            placeholders,
        })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reports whether it refers to the name of a user.
    pub fn is_of_user(&self) -> bool {
        let mut placeholders = self.placeholders.iter();
        placeholders.any(|(_, placeholder)| *placeholder == Placeholder::User)
    }

    /// Returns the names of claims that it refers to.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        self.placeholders
            .iter()
            .filter_map(|(_, placeholder)| match placeholder {
                Placeholder::User => None,
                Placeholder::Claim(name) => Some(name.as_str()),
            })
    }

    /// Reports whether the pattern, for a client of these names, matches a repository.
    pub(super) fn matches(&self, repository: &str, names: Names<'_>) -> bool {
        match &self.placeholders[..] {
            [] => self.glob.matches(repository),
            _ => self
                .without_names(repository, names)
                .is_some_and(|rest| self.glob.matches(&rest)),
        }
    }

    /// Returns a repository's name with one short component in the place of each placeholder's value; `None` if a value is
    /// not there.
    fn without_names(&self, repository: &str, names: Names<'_>) -> Option<String> {
        let (mut before, mut rest) = (String::new(), repository);
        let mut position = 0;
        for (place, placeholder) in &self.placeholders {
            while position < *place {
                let (component, others) = rest.split_once('/')?;
                before.push_str(component);
                before.push('/');
                (position, rest) = (position + 1, others);
            }
            let value = placeholder.value(names).filter(|value| !value.is_empty())?;
            let others = rest.strip_prefix(value)?;
            before.push('x');
            rest = match others.strip_prefix('/') {
                Some(others) => {
                    before.push('/');
                    others
                }
                None if others.is_empty() => others,
                None => return None,
            };
            position += 1;
        }
        Some(before + rest)
    }

    /// Returns the text with which every matching name begins; `None` if no name can match for lack of a client's name.
    pub(super) fn prefix(&self, names: Names<'_>) -> Option<String> {
        let mut components: Vec<_> = self.text.split('/').collect();
        for (position, placeholder) in &self.placeholders {
            components[*position] = placeholder.value(names)?;
        }
        let filled = components.join("/");
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
    use super::super::claims::Claims;
    use super::*;

    fn pattern(text: &str) -> RepositoryPattern {
        RepositoryPattern::parse(text).unwrap()
    }

    #[test]
    fn a_client_has_its_own_component_only() {
        let home = pattern("home/{user}/**");
        let matches = |repository: &str, user| home.matches(repository, Names::of_user(user));
        assert!(matches("home/ann/app", Some("ann")));
        assert!(!matches("home/ann/app", Some("bob")));
        assert!(!matches("home/ann/app", None));
        assert!(!matches("home/ann", Some("ann")), "below it only");
        assert!(!matches("home/anna/app", Some("ann")));
        assert!(!matches("home/ann/app", Some("ann/app")));
        // a name is no glob
        assert!(!matches("home/ann/app", Some("*")));
        let prefix = |user| home.prefix(Names::of_user(user));
        assert_eq!(prefix(Some("ann")).unwrap(), "home/ann/");
        assert_eq!(prefix(None), None);
    }

    #[test]
    fn a_claim_may_have_several_components() {
        let claims = Claims::new([
            ("repository".to_owned(), "Acme/App".to_owned()),
            ("env".to_owned(), "prod".to_owned()),
        ]);
        let names = Names {
            user: None,
            claims: Some(&claims),
        };
        let own = pattern("ci/{claim.repository}/**");
        assert!(own.matches("ci/acme/app/web", names));
        for other in [
            "ci/acme/app",
            "ci/acme/apps/web",
            "ci/acme/web",
            "acme/app/web",
            "ci/acme",
        ] {
            assert!(!own.matches(other, names), "{other}");
        }
        assert_eq!(own.prefix(names).unwrap(), "ci/acme/app/");
        let whole = pattern("{claim.repository}");
        assert!(whole.matches("acme/app", names) && !whole.matches("acme/app/web", names));
        let both = pattern("{claim.repository}/{claim.env}");
        assert!(both.matches("acme/app/prod", names) && !both.matches("acme/app/test", names));
        assert!(!pattern("{claim.sub}/**").matches("acme/app", names));
        assert!(!own.matches("ci/acme/app/web", Names::of_user(Some("acme/app"))));
        assert_eq!(both.claims().collect::<Vec<_>>(), ["repository", "env"]);
    }

    #[test]
    fn a_glob_that_cannot_be_judged_is_rejected() {
        for text in [
            "home/{user}x",
            "**/{user}",
            "a/{user}/{b,c}",
            "a/{claim.}/b",
            "a/{claim.x,y}",
            "a-{claim.x}",
            "home/{users}/**",
            "home/{User}/**",
            "team**",
            "team/***",
            "Team/**",
            "",
        ] {
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
            assert_eq!(pattern(text).prefix(Names::default()).unwrap(), prefix);
        }
        assert_eq!(pattern("team/**").first_component(), Some("team"));
        assert_eq!(pattern("te*/x").first_component(), None);
    }
}
