//! Conditions of requests on what is stored now (RFC 9110, section 13).

use crate::oci::Digest;
use crate::registry::error::Error;

/// Suffixes that Apache's compression appends to the entity tags of responses.
const SUFFIXES: [&str; 2] = ["-gzip", "-br"];

/// Condition of a request; the default always holds.
///
/// A change checks its condition inside its transaction, so that of two writers with the same
/// condition one fails.
#[derive(Clone, Debug, Default)]
pub struct Precondition {
    /// `If-Match`: something of this list is stored.
    pub matching: Option<EntityTags>,
    /// `If-None-Match`: nothing of this list is stored.
    pub not_matching: Option<EntityTags>,
}

/// List of entity tags, or `*` for any.
#[derive(Clone, Debug, Default)]
pub struct EntityTags {
    is_any: bool,
    tags: Vec<EntityTag>,
}

#[derive(Clone, Debug)]
struct EntityTag {
    /// Without quotes.
    text: String,
    is_weak: bool,
}

impl Precondition {
    /// Requires that a digest is stored.
    #[must_use]
    pub fn is(digest: &Digest) -> Self {
        let tag = EntityTag {
            text: digest.to_string(),
            is_weak: false,
        };
        Self {
            matching: Some(EntityTags {
                is_any: false,
                tags: vec![tag],
            }),
            not_matching: None,
        }
    }

    /// Reports whether the request has no condition, so that nothing need be looked up for it.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.matching.is_none() && self.not_matching.is_none()
    }

    /// Checks the condition against what is stored under the request's name, if anything.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`] if it does not hold.
    pub fn check(&self, stored: Option<&Digest>) -> Result<(), Error> {
        self.check_matching(stored)?;
        if self.excludes(stored) {
            return Err(Error::PreconditionFailed);
        }
        Ok(())
    }

    /// Checks `If-Match` alone.
    ///
    /// # Errors
    /// [`Error::PreconditionFailed`] if nothing of the list is stored.
    pub fn check_matching(&self, stored: Option<&Digest>) -> Result<(), Error> {
        let holds = |tags: &EntityTags| tags.contain(stored, Comparison::Strong);
        if self.matching.as_ref().is_none_or(holds) {
            Ok(())
        } else {
            Err(Error::PreconditionFailed)
        }
    }

    /// Reports whether `If-None-Match` excludes what is stored: a reader has it already.
    #[must_use]
    pub fn excludes(&self, stored: Option<&Digest>) -> bool {
        let holds = |tags: &EntityTags| tags.contain(stored, Comparison::Weak);
        self.not_matching.as_ref().is_some_and(holds)
    }
}

/// Comparison of entity tags; weak ones equal nothing in a strong comparison.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

impl EntityTags {
    /// Adds one value of a header, a list of entity tags with or without quotes.
    pub fn add(&mut self, list: &str) {
        for one in list.split(',').map(str::trim) {
            self.is_any |= one == "*";
            let text = one.trim_start_matches("W/");
            self.tags.push(EntityTag {
                text: text.trim_matches('"').to_owned(),
                is_weak: text != one,
            });
        }
    }

    fn contain(&self, stored: Option<&Digest>, comparison: Comparison) -> bool {
        let Some(stored) = stored else { return false };
        self.is_any
            || self.tags.iter().any(|tag| {
                let is_comparable = comparison == Comparison::Weak || !tag.is_weak;
                is_comparable && tag.names(stored.as_str())
            })
    }
}

impl EntityTag {
    fn names(&self, digest: &str) -> bool {
        let rest = self.text.strip_prefix(digest);
        rest.is_some_and(|rest| rest.is_empty() || SUFFIXES.contains(&rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Digest {
        Digest::parse(&format!("sha256:{}", "a".repeat(64))).unwrap()
    }

    /// The list with `ours` for the digest that is stored.
    fn tags(list: &str) -> Option<EntityTags> {
        let mut tags = EntityTags::default();
        tags.add(&list.replace("ours", stored().as_str()));
        Some(tags)
    }

    #[test]
    fn if_match_takes_a_strong_tag_of_what_is_stored() {
        for (list, holds) in [
            ("\"ours\"", true),
            ("ours", true),
            ("*", true),
            ("\"a\", \"ours\"", true),
            ("\"ours-gzip\"", true),
            ("\"a\"", false),
            ("W/\"ours\"", false),
            ("\"ours-other\"", false),
            ("", false),
        ] {
            let condition = Precondition {
                matching: tags(list),
                ..Precondition::default()
            };
            assert_eq!(condition.check(Some(&stored())).is_ok(), holds, "{list}");
            assert!(condition.check(None).is_err(), "{list}");
        }
    }

    #[test]
    fn if_none_match_takes_any_tag_of_what_is_stored() {
        for (list, excludes) in [
            ("\"ours\"", true),
            ("ours", true),
            ("W/\"ours\"", true),
            ("W/\"ours-gzip\"", true),
            ("\"a\",\"ours\"", true),
            ("*", true),
            ("\"a\"", false),
            ("", false),
        ] {
            let condition = Precondition {
                not_matching: tags(list),
                ..Precondition::default()
            };
            assert_eq!(condition.excludes(Some(&stored())), excludes, "{list}");
            assert_eq!(
                condition.check(Some(&stored())).is_err(),
                excludes,
                "{list}"
            );
            assert!(condition.check(None).is_ok(), "{list}");
        }
    }

    #[test]
    fn both_conditions_must_hold() {
        let condition = |matching, not_matching| Precondition {
            matching: tags(matching),
            not_matching: tags(not_matching),
        };
        let stored = stored();
        assert!(condition("ours", "a").check(Some(&stored)).is_ok());
        assert!(condition("ours", "ours").check(Some(&stored)).is_err());
        assert!(condition("a", "a").check(Some(&stored)).is_err());
        assert!(Precondition::default().check(None).is_ok());
    }
}
