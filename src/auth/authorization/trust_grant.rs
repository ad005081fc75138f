//! Proof by a token of another server.

use serde::{Deserialize, Serialize};

use super::claims::Claims;

/// Login by a token of a trusted server. It has the rights that access rules give to its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::auth) struct TrustGrant {
    name: String,
    /// `trust:NAME`, as rules and logs have it.
    label: String,
    /// The token's `sub`, shortened.
    subject: String,
    /// Fingerprint of the settings under which it was accepted.
    settings: String,
    claims: Claims,
}

impl TrustGrant {
    /// Maximum length of the subject in logs, in characters; the client's server chooses it.
    const LONGEST_SUBJECT: usize = 250;

    /// Makes a grant of an accepted token: its name in the section `trust`, and the claims that access rules refer to.
    pub(in crate::auth) fn new(
        name: &str,
        settings: String,
        subject: &str,
        claims: Claims,
    ) -> Self {
        Self {
            label: format!("trust:{name}"),
            name: name.to_owned(),
            subject: subject.chars().take(Self::LONGEST_SUBJECT).collect(),
            settings,
            claims,
        }
    }

    pub(in crate::auth) fn name(&self) -> &str {
        &self.name
    }

    pub(in crate::auth) fn label(&self) -> &str {
        &self.label
    }

    pub(in crate::auth) fn subject(&self) -> &str {
        &self.subject
    }

    pub(in crate::auth) fn settings(&self) -> &str {
        &self.settings
    }

    pub(super) fn claims(&self) -> &Claims {
        &self.claims
    }
}
