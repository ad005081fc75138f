//! Policies: rules for the tags of matching repositories.
//!
//! Precedence, from the outside in: the first policy whose `repositories` match a repository's name
//! applies to it; of its tag rules, the first whose `tags` match a tag's name decides; the rule
//! keeps the tag if any of its conditions does. A tag that matches no rule is kept, as is an
//! immutable one unless the policy says otherwise. Signatures and attestations by tag
//! (`sha256-<hex>.sig`) are exempt: they are removed with their image.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::meta::{Millis, TagActivity, millis};
use crate::oci::Glob;
use crate::oci::RepositoryName;
use crate::registry::error::Error;
use crate::registry::policy::duration::format_duration;
use crate::registry::policy::keep_untagged::KeepUntagged;

/// Rules for some repositories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    pub repositories: Glob,
    /// Overrides [`Retention::keep_untagged`](crate::registry::Retention::keep_untagged).
    pub keep_untagged: Option<KeepUntagged>,
    /// Tags that clients can neither move nor remove.
    pub immutable: Vec<Glob>,
    /// Let the tag rules remove immutable tags.
    pub expire_immutable: bool,
    pub tags: Vec<TagRule>,
}

/// A rule that keeps tags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TagRule {
    pub tags: Vec<Glob>,
    /// Keep the tags unconditionally.
    pub always: bool,
    /// Keep the newest tags of this number.
    pub newest: Option<u64>,
    /// Keep tags last set within this time.
    pub younger: Option<Duration>,
    /// Keep tags pulled, checked or set within this time.
    pub pulled: Option<Duration>,
}

/// Decision about a tag, with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagDecision {
    pub tag: String,
    pub is_kept: bool,
    /// The deciding rule, in words.
    pub reason: String,
    /// Globs of that rule; `None` if none decides.
    pub rule: Option<String>,
    /// Time at which the decision may change without a push or pull.
    pub until: Option<Millis>,
}

impl Policy {
    /// Returns the pattern that makes the tag immutable, if any.
    fn immutable_pattern(&self, tag: &str) -> Option<&Glob> {
        self.immutable.iter().find(|pattern| pattern.matches(tag))
    }

    pub fn is_immutable(&self, tag: &str) -> bool {
        self.immutable_pattern(tag).is_some()
    }

    /// Checks that the tag may be moved or removed.
    pub fn check_mutable(&self, repository: &RepositoryName, tag: &str) -> Result<(), Error> {
        match self.immutable_pattern(tag) {
            Some(pattern) => Err(Error::TagImmutable {
                repository: repository.clone(),
                tag: tag.to_owned(),
                policy: self.repositories.to_string(),
                pattern: pattern.to_string(),
            }),
            None => Ok(()),
        }
    }

    /// Decides about all tags of a repository; sorted by name.
    ///
    /// Restored tags stay for `grace` after that, whatever the rules say.
    pub fn decide(
        &self,
        mut tags: Vec<TagActivity>,
        grace: Duration,
        now: Millis,
    ) -> Vec<TagDecision> {
        let mut newest = NewestTags::default();
        tags.iter().for_each(|tag| self.record(tag, &mut newest));
        let ranks = newest.rank();
        tags.sort_by(|one, other| one.name.cmp(&other.name));
        tags.into_iter()
            .map(|tag| self.decide_one(tag, grace, now, &ranks))
            .collect()
    }

    /// Records a tag, which must be done for all tags before any decision.
    pub(in crate::registry) fn record(&self, tag: &TagActivity, newest: &mut NewestTags) {
        if let Ok((number, rule)) = self.rule_of(&tag.name)
            && let Some(limit) = rule.newest.filter(|_| !rule.always)
        {
            let seen = newest.0.entry(number).or_default();
            seen.insert((Reverse(tag.pushed_at), tag.name.clone()));
            if seen.len() as u64 > limit {
                seen.pop_last();
            }
        }
    }

    /// Returns the rule that decides about a tag, or the reason why there is none.
    fn rule_of(&self, tag: &str) -> Result<(usize, &TagRule), &'static str> {
        if is_signature(tag) {
            return Err("it belongs to an image and is removed with it");
        }
        if self.is_immutable(tag) && !self.expire_immutable {
            return Err("it is immutable");
        }
        let matching = self
            .tags
            .iter()
            .enumerate()
            .find(|(_, rule)| rule.tags.iter().any(|pattern| pattern.matches(tag)));
        matching.ok_or("no rule matches it")
    }

    /// Returns the number of the rule that decides about a tag, if any does.
    pub(in crate::registry) fn rule_number(&self, tag: &str) -> Option<usize> {
        self.rule_of(tag).ok().map(|(number, _)| number)
    }

    pub(in crate::registry) fn decide_one(
        &self,
        tag: TagActivity,
        grace: Duration,
        now: Millis,
        ranks: &TagRanks,
    ) -> TagDecision {
        let kept = |reason: String, rule: Option<&String>, until| TagDecision {
            tag: tag.name.clone(),
            is_kept: true,
            reason,
            rule: rule.cloned(),
            until,
        };
        let rule = match self.rule_of(&tag.name) {
            Ok((_, rule)) => rule,
            Err(reason) => return kept(reason.to_owned(), None, None),
        };
        let name = rule.name();
        if rule.always {
            return kept(format!("'{name}' is always kept"), Some(&name), None);
        }
        if let (Some(place), Some(newest)) = (ranks.0.get(&tag.name), rule.newest) {
            return kept(
                format!("number {place} of the newest {newest} of '{name}'"),
                Some(&name),
                None,
            );
        }
        let last = rule
            .ends(&tag, grace)
            .into_iter()
            .flatten()
            .filter(|(end, ..)| *end > now)
            .max_by_key(|(end, ..)| *end);
        match last {
            Some((end, what, time)) => kept(
                format!("{what} {} ('{name}')", format_duration(time)),
                Some(&name),
                Some(end),
            ),
            None => TagDecision {
                is_kept: false,
                reason: format!("no condition of '{name}' keeps it"),
                rule: Some(name),
                until: None,
                tag: tag.name,
            },
        }
    }
}

impl TagRule {
    /// Returns the times until which conditions keep a tag, each with its name and period.
    fn ends(
        &self,
        tag: &TagActivity,
        grace: Duration,
    ) -> [Option<(Millis, &'static str, Duration)>; 3] {
        [
            self.younger.map(|time| {
                (
                    tag.pushed_at.saturating_add(millis(time)),
                    "younger than",
                    time,
                )
            }),
            // a push counts as a pull, because what was just pushed could not be pulled yet; so does a
            // check, because a client that has the image asks for no more
            self.pulled.map(|time| {
                (
                    tag.pushed_at
                        .max(tag.pulled_at.unwrap_or_default())
                        .max(tag.checked_at.unwrap_or_default())
                        .saturating_add(millis(time)),
                    "pulled within",
                    time,
                )
            }),
            // undo would be worth little if the next sweep removed the tag again
            tag.restored_at.map(|restored_at| {
                (
                    restored_at.saturating_add(millis(grace)),
                    "restored within",
                    grace,
                )
            }),
        ]
    }

    /// Returns the conditions that keep a tag, in words.
    pub fn conditions(&self) -> String {
        if self.always {
            return "always".to_owned();
        }
        let newest = self
            .newest
            .map(|number| format!("one of the newest {number}"));
        let time = |word: &str, time: Duration| format!("{word} {}", format_duration(time));
        let younger = self.younger.map(|limit| time("younger than", limit));
        let pulled = self.pulled.map(|limit| time("pulled within", limit));
        let all: Vec<_> = [newest, younger, pulled].into_iter().flatten().collect();
        all.join(", or ")
    }

    /// Returns the globs of the rule, which name it.
    pub fn name(&self) -> String {
        let globs: Vec<_> = self.tags.iter().map(Glob::as_str).collect();
        globs.join(", ")
    }
}

/// The newest tags of each rule that keeps a number of them, among those recorded.
///
/// Newest first, then by name, so that decisions are stable. Size is limited by the rules, not by
/// the number of tags.
#[derive(Default)]
pub(in crate::registry) struct NewestTags(BTreeMap<usize, BTreeSet<(Reverse<Millis>, String)>>);

/// Ranks of the newest tags, from 1.
#[derive(Debug, Default)]
pub(in crate::registry) struct TagRanks(HashMap<String, u64>);

impl NewestTags {
    /// Ranks the tags, once all are recorded.
    ///
    /// One rule decides about a tag, so it is in one list at most.
    pub(in crate::registry) fn rank(self) -> TagRanks {
        TagRanks(
            self.0
                .into_values()
                .flat_map(|seen| seen.into_iter().map(|(_, name)| name).zip(1..))
                .collect(),
        )
    }
}

/// Reports whether a tag is a signature tag: `sha256-<hex>`, with or without a suffix.
pub fn is_signature(tag: &str) -> bool {
    let hex = tag
        .strip_prefix("sha256-")
        .map(|rest| rest.split('.').next().unwrap_or_default());
    hex.is_some_and(|hex| {
        hex.len() == 64
            && hex
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(name: &str, pushed_at: Millis, pulled_at: Option<Millis>) -> TagActivity {
        TagActivity {
            name: name.to_owned(),
            pushed_at,
            pulled_at,
            checked_at: None,
            restored_at: None,
        }
    }

    const GRACE: Duration = Duration::from_millis(20);

    fn pattern(text: &str) -> Glob {
        Glob::try_from(text.to_owned()).unwrap()
    }

    fn rule(tags: &str) -> TagRule {
        TagRule {
            tags: vec![pattern(tags)],
            always: false,
            newest: None,
            younger: None,
            pulled: None,
        }
    }

    fn policy(tags: Vec<TagRule>) -> Policy {
        Policy {
            repositories: pattern("**"),
            keep_untagged: None,
            immutable: vec![pattern("v*")],
            expire_immutable: false,
            tags,
        }
    }

    fn kept(decisions: &[TagDecision]) -> Vec<&str> {
        decisions
            .iter()
            .filter(|decision| decision.is_kept)
            .map(|decision| decision.tag.as_str())
            .collect()
    }

    #[test]
    fn the_first_matching_rule_decides_and_any_of_its_conditions_keeps() {
        let policy = policy(vec![
            TagRule {
                newest: Some(2),
                younger: Some(Duration::from_millis(10)),
                ..rule("pr-*")
            },
            TagRule {
                pulled: Some(Duration::from_millis(50)),
                ..rule("*")
            },
        ]);
        let tags = vec![
            tag("pr-1", 10, None),
            tag("pr-2", 20, Some(99)),
            tag("pr-3", 30, None),
            tag("pr-4", 95, None),
            tag("nightly", 1, Some(60)),
            tag("old", 1, None),
            TagActivity {
                checked_at: Some(80),
                ..tag("deployed", 1, None)
            },
            tag("v1", 1, None),
            tag(&format!("sha256-{}.sig", "a".repeat(64)), 1, None),
        ];
        let decisions = policy.decide(tags, GRACE, 100);
        let signature = format!("sha256-{}.sig", "a".repeat(64));
        assert_eq!(
            kept(&decisions),
            ["deployed", "nightly", "pr-3", "pr-4", &signature, "v1"]
        );
        let until = |name: &str| {
            decisions
                .iter()
                .find(|decision| decision.tag == name)
                .unwrap()
                .until
        };
        assert_eq!(
            (
                until("nightly"),
                until("deployed"),
                until("pr-4"),
                until("v1")
            ),
            (Some(110), Some(130), None, None)
        );
    }

    #[test]
    fn a_tag_that_no_rule_matches_is_kept() {
        assert_eq!(
            kept(&policy(vec![rule("pr-*")]).decide(
                vec![tag("main", 1, None), tag("pr-1", 1, None)],
                GRACE,
                100
            )),
            ["main"]
        );
    }

    #[test]
    fn retention_removes_immutable_tags_if_configured() {
        let policy = Policy {
            expire_immutable: true,
            ..policy(vec![rule("*")])
        };
        assert!(kept(&policy.decide(vec![tag("v1", 1, None)], GRACE, 100)).is_empty());
    }
}
