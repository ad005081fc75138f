//! The removal of restored tags by rules.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::meta::{Millis, TagActivity, millis};
use crate::registry::policy::retention::Retention;

/// Removal of a restored tag by a rule, after the grace period that began with the restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleRemoval {
    pub tag: String,
    /// Glob of the policy.
    pub policy: String,
    /// Globs of the rule.
    pub rule: String,
    pub reason: String,
    /// Time from which collection removes the tag.
    pub at: Millis,
}

impl Retention {
    /// Lists which of the restored tags a rule removes once they are spared no more, by name.
    ///
    /// `tags` are all tags of the repository.
    pub(in crate::registry) fn removals_of_restored(
        &self,
        repository: &str,
        tags: Vec<TagActivity>,
        restored: &BTreeSet<String>,
    ) -> Vec<RuleRemoval> {
        let ends: BTreeMap<String, Millis> = tags
            .iter()
            .filter(|tag| restored.contains(&tag.name))
            .filter_map(|tag| {
                let end = tag.restored_at?.saturating_add(millis(self.grace));
                Some((tag.name.clone(), end))
            })
            .collect();
        let (Some(policy), Some(last)) = (self.policy(repository), ends.values().max()) else {
            return Vec::new();
        };
        let removed = policy
            .decide(tags, Duration::ZERO, *last)
            .into_iter()
            .filter(|decision| !decision.is_kept);
        removed
            .filter_map(|decision| {
                let rule = policy.tags.get(policy.rule_number(&decision.tag)?)?;
                Some(RuleRemoval {
                    at: *ends.get(&decision.tag)?,
                    policy: policy.repositories.to_string(),
                    rule: rule.name(),
                    reason: decision.reason,
                    tag: decision.tag,
                })
            })
            .collect()
    }
}
