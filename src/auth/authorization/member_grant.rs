//! Proof by a login at an issuer of people.

use serde::{Deserialize, Serialize};

/// Login of a person by an OpenID Connect issuer. It has the rights of a user of its name and groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::auth) struct MemberGrant {
    name: String,
    /// The issuer's own name for the person (`sub`).
    subject: String,
    /// Groups of the access rules that the issuer names.
    groups: Vec<String>,
    /// Fingerprint of the settings under which it was accepted.
    settings: String,
}

impl MemberGrant {
    /// Maximum number of groups, and maximum length of a text, in characters; the issuer chooses both.
    const MOST: usize = 500;
    const LONGEST: usize = 250;

    pub(in crate::auth) fn new(
        name: String,
        subject: &str,
        groups: Vec<String>,
        settings: String,
    ) -> Self {
        let is_short = |group: &String| group.chars().count() <= Self::LONGEST;
        Self {
            name,
            subject: subject.chars().take(Self::LONGEST).collect(),
            groups: groups
                .into_iter()
                .filter(is_short)
                .take(Self::MOST)
                .collect(),
            settings,
        }
    }

    pub(in crate::auth) fn name(&self) -> &str {
        &self.name
    }

    pub(in crate::auth) fn subject(&self) -> &str {
        &self.subject
    }

    pub(in crate::auth) fn groups(&self) -> &[String] {
        &self.groups
    }

    pub(in crate::auth) fn settings(&self) -> &str {
        &self.settings
    }
}
