//! Globs for names, and detection of globs that match no valid name.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::oci::name::{RepositoryName, TagName};

/// A glob: `*` within a name component, `**` across components, `?`, `[a-z]`, `{a,b}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Glob(globset::GlobMatcher);

impl TryFrom<String> for Glob {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let glob = globset::GlobBuilder::new(&text)
            .literal_separator(true)
            .build();
        glob.map(|glob| Self(glob.compile_matcher()))
            .map_err(|error| format!("'{text}' is not a pattern: {}", error.kind()))
    }
}

impl From<Glob> for String {
    fn from(pattern: Glob) -> Self {
        pattern.as_str().to_owned()
    }
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Glob {}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Glob {
    /// Parses a glob for repository names.
    ///
    /// # Errors
    /// Invalid globs, and globs that can match no valid name, which are mistakes.
    pub fn for_repositories(text: &str) -> Result<Self, String> {
        let rule = |name: &str| {
            RepositoryName::parse(name)
                .map(drop)
                .map_err(|error| error.to_string())
        };
        Self::for_names(text, "repository", rule)
    }

    /// Parses a glob for tags.
    ///
    /// # Errors
    /// As [`Self::for_repositories`].
    pub fn for_tags(text: &str) -> Result<Self, String> {
        let rule = |name: &str| {
            TagName::parse(name)
                .map(drop)
                .map_err(|error| error.to_string())
        };
        Self::for_names(text, "tag", rule)
    }

    fn for_names(
        text: &str,
        what: &str,
        rule: impl Fn(&str) -> Result<(), String>,
    ) -> Result<Self, String> {
        let pattern = Self::try_from(text.to_owned())?;
        let parts = parts(text);
        for (number, part) in parts.iter().enumerate() {
            let fits = match part {
                // the neighbours could be a letter, which a name may have anywhere
                Part::Literal(part) => {
                    let before = if number == 0 { "" } else { "a" };
                    let after = if number + 1 == parts.len() { "" } else { "a" };
                    rule(&format!("{before}{part}{after}"))
                }
                Part::Class(class) => {
                    let class = Self::try_from(class.clone())?;
                    let is_any = (0..=127)
                        .map(|byte| char::from(byte).to_string())
                        .any(|c| class.matches(&c) && rule(&format!("a{c}a")).is_ok());
                    if is_any { Ok(()) } else { rule(class.as_str()) }
                }
                Part::Any => Ok(()),
            };
            fits.map_err(|error| format!("the pattern '{text}' can match no {what}: {error}"))?;
        }
        Ok(pattern)
    }

    /// Checks that each `**` is a whole component; beside other letters it would match no more than `*`.
    ///
    /// # Errors
    /// A sentence.
    pub fn check_stars(text: &str) -> Result<(), String> {
        let mut rest = text;
        while let Some(start) = rest.find("**") {
            let (before, stars) = rest.split_at(start);
            let after = &stars[2..];
            let begins = before.is_empty() || before.ends_with(['/', '{', ',']);
            let ends = after.is_empty() || after.starts_with(['/', '}', ',']);
            if !(begins && ends) {
                return Err(format!(
                    "in the pattern '{text}', ** must be a whole component, as in team/**: write * within a component"
                ));
            }
            rest = after;
        }
        Ok(())
    }

    /// Finds a single word in braces, which are for alternatives: `users` in `home/{users}/**`.
    pub fn lone_word(text: &str) -> Option<&str> {
        text.split('{').skip(1).find_map(|rest| {
            let (word, _) = rest.split_once('}')?;
            (!word.contains(',')).then_some(word)
        })
    }

    pub fn as_str(&self) -> &str {
        self.0.glob().glob()
    }

    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

/// A part of a glob.
#[derive(Debug, PartialEq)]
enum Part {
    Literal(String),
    /// A character class, with its brackets.
    Class(String),
    /// Wildcards and alternatives.
    Any,
}

/// Splits a valid glob into parts, never two literals in a row.
fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let (mut characters, mut depth) = (text.chars(), 0_u32);
    while let Some(c) = characters.next() {
        let special = match c {
            '\\' => {
                literal.extend(characters.next());
                continue;
            }
            '[' => {
                let mut class = c.to_string();
                for c in characters.by_ref() {
                    let is_first = matches!(class.as_str(), "[" | "[!" | "[^");
                    class.push(c);
                    if c == ']' && !is_first {
                        break;
                    }
                }
                Part::Class(class)
            }
            '{' => {
                depth += 1;
                Part::Any
            }
            '}' => {
                depth = depth.saturating_sub(1);
                Part::Any
            }
            '*' | '?' => Part::Any,
            ',' if depth > 0 => Part::Any,
            _ => {
                literal.push(c);
                continue;
            }
        };
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
        }
        parts.push(special);
    }
    if !literal.is_empty() || parts.is_empty() {
        parts.push(Part::Literal(literal));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn globs_that_match_no_name_are_rejected() {
        for text in [
            "Team/*",
            "a..b",
            "*..*",
            "team /*",
            "/team",
            "team/",
            "a//b",
            "team/{App,web}",
            "[A-Z]*",
            "",
            "team/app:v1",
            "-*",
            "*_",
            "a___*",
        ] {
            let error = Glob::for_repositories(text).unwrap_err();
            assert!(
                error.contains(&format!("'{text}' can match no repository: ")),
                "{error}"
            );
        }
        for text in ["team/app", "v 1", ".*", "-x", "pr:*", "[/]", "", "ä*"] {
            let error = Glob::for_tags(text).unwrap_err();
            assert!(
                error.contains(&format!("'{text}' can match no tag: ")),
                "{error}"
            );
        }
        assert!(
            Glob::for_tags("[a")
                .unwrap_err()
                .contains("is not a pattern")
        );
    }

    #[test]
    fn what_can_match_a_name_is_not() {
        for text in [
            "**",
            "*",
            "team/**",
            "**/app",
            "*/*",
            "{team,web}/*",
            "a{,-slim}",
            "a[._]b",
            "[!A-Z]*",
            "[]a]",
            "a?b",
            "*.*",
            "*__*",
            "*-",
            "a-?",
            "\\a",
        ] {
            let pattern = Glob::for_repositories(text);
            assert_eq!(pattern.is_err(), text == "*-", "{text}: {pattern:?}");
        }
        for text in [
            "*",
            "v*",
            "V*",
            "[A-Z]*",
            "{pr,PR}-*",
            "*.",
            "_*",
            "*-",
            "1.{0,1}.?",
            "sha256-*.sig",
        ] {
            assert!(Glob::for_tags(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn two_stars_are_a_whole_component() {
        for text in ["**", "a/**", "**/a", "a/**/b/**", "{a/**,b}/*", "{b,**/a}"] {
            assert_eq!(Glob::check_stars(text), Ok(()), "{text}");
        }
        for text in ["team**", "a**b", "team/***", "****", "a/**b", "{a**,b}"] {
            let error = Glob::check_stars(text).unwrap_err();
            assert!(error.contains(&format!("'{text}', ** must be")), "{error}");
        }
    }

    #[test]
    fn a_word_alone_in_braces_is_found() {
        for (text, word) in [
            ("home/{users}/**", Some("users")),
            ("{a,b}/{c}", Some("c")),
            ("{}", Some("")),
            ("{a,b{c,d}}", None),
            ("{a,b}/**", None),
            ("a/b", None),
        ] {
            assert_eq!(Glob::lone_word(text), word, "{text}");
        }
    }

    proptest! {
        /// A name with parts replaced by wildcards matches that name.
        #[test]
        fn no_pattern_is_refused_that_matches_a_name(
            name in "[a-z0-9]{1,3}((\\.|_|__|-{1,3}|/)[a-z0-9]{1,3}){0,4}",
            holes in prop::collection::vec((0_usize..20, 0_usize..4), 0..4),
        ) {
            let mut parts: Vec<String> = name.chars().map(String::from).collect();
            for (place, kind) in holes {
                let place = place % parts.len();
                parts[place] = match (kind, parts[place].as_str()) {
                    (0, _) => "**".to_owned(),
                    (1, c) if c.len() == 1 && c != "/" && c != "?" => format!("[{c}]"),
                    (2, c) if c.len() == 1 => format!("{{{c},x}}"),
                    (_, c) if c != "/" && c.len() == 1 => "?".to_owned(),
                    (_, c) => c.to_owned(),
                };
            }
            let text = parts.concat();
            if let Ok(pattern) = Glob::try_from(text.clone())
                && pattern.matches(&name)
            {
                prop_assert!(Glob::for_repositories(&text).is_ok(), "{} for {}", text, name);
            }
        }
    }
}
