//! Claims that a token must have.

use serde_json::{Map, Value};

use super::claims::{find, texts};
use crate::oci::Glob;

/// Maximum length of a claim in a message, in characters.
const LONGEST_SHOWN: usize = 100;

/// Claim that a token must have, with a value that one of these globs matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    pub claim: String,
    pub values: Vec<Glob>,
}

impl Requirement {
    /// Returns why claims do not meet the requirement, without saying what would.
    ///
    /// Of a claim that is a list, one item must match.
    pub(in crate::auth) fn fault(&self, claims: &Map<String, Value>) -> Option<String> {
        let name = &self.claim;
        let found = find(claims, name).map(texts).unwrap_or_default();
        let is_met = |text: &String| self.values.iter().any(|glob| glob.matches(text));
        if found.iter().any(is_met) {
            return None;
        }
        Some(match found.first() {
            None => format!("its claim {name} is missing"),
            Some(text) => {
                let shown: String = text.chars().take(LONGEST_SHOWN).collect();
                format!("its claim {name} is {shown:?}")
            }
        })
    }
}
