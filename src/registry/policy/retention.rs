//! What is kept, and for how long: an owner's rules, and what they decide.
//!
//! Precedence, from the outside in: the first policy whose `repositories` match a repository's name is the one that
//! counts there; of its rules about tags, the first whose `tags` match a tag's name decides; it keeps the tag if any of
//! its conditions does. A tag that no rule matches is kept, and so is an immutable one unless the policy says otherwise.
//! Signatures and attestations by tag (`sha256-<hex>.sig`) are never judged: they go with their image.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::meta::{IdleManifest, Millis, TaggedRow};
use crate::registry::policy::glob::Glob;

/// All that an owner may say about keeping.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retention {
    /// Whether the server collects by itself.
    pub enabled: bool,
    /// How long it rests between two passes.
    pub interval: Duration,
    /// How long a client may rely on having been told that something is there.
    pub lease: Duration,
    /// How long what was needed stays after it is not any more: the time for backups, and for second thoughts.
    pub grace: Duration,
    /// How long a manifest without tags stays, where no policy says otherwise.
    pub untagged: KeepUntagged,
    /// How long it is remembered what a tag pointed at.
    pub history: Duration,
    pub policies: Vec<Policy>,
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for Retention {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_secs(60),
            lease: 24 * HOUR,
            grace: 24 * HOUR,
            untagged: KeepUntagged::For(14 * DAY),
            history: 90 * DAY,
            policies: Vec::new(),
        }
    }
}

/// How long manifests stay that nothing holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeepUntagged {
    /// Not a moment longer than leases and the grace period ask for.
    Never,
    For(Duration),
    Forever,
}

impl fmt::Display for KeepUntagged {
    /// As configurations write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::For(time) => f.write_str(&length(*time)),
            Self::Forever => f.write_str("forever"),
        }
    }
}

/// A length of time as configurations write it: `14d`, `1h30m`, `500ms`; what is below a millisecond is left out.
fn length(time: Duration) -> String {
    let mut rest = time.as_millis();
    let mut text = String::new();
    for (unit, millis) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ] {
        if rest >= millis {
            text += &format!("{}{unit}", rest / millis);
            rest %= millis;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

/// The rules of some repositories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    pub repositories: Glob,
    /// In place of [`Retention::untagged`].
    pub untagged: Option<KeepUntagged>,
    /// Tags that clients can neither move nor remove.
    pub immutable: Vec<Glob>,
    /// Whether the rules below may remove those.
    pub expire_immutable: bool,
    pub tags: Vec<TagRule>,
}

/// Which tags stay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TagRule {
    pub tags: Vec<Glob>,
    /// Whatever the conditions say.
    pub always: bool,
    /// The newest so many of those that the rule matches.
    pub newest: Option<u64>,
    /// Those that were pointed where they point no longer ago than this.
    pub younger: Option<Duration>,
    /// Those that were pulled, or pointed where they point, no longer ago than this.
    pub pulled: Option<Duration>,
}

/// What became of a tag, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagDecision {
    pub tag: String,
    pub is_kept: bool,
    /// The rule that decided, in words.
    pub reason: String,
    /// When the rule may decide otherwise, if only time passes.
    pub until: Option<Millis>,
}

impl Retention {
    /// How long anything stays after the last time it was needed or promised, whatever the rules say.
    pub fn hold(&self) -> Millis {
        millis(self.lease.max(self.grace))
    }

    /// Whether half a lease has passed since a thing was last promised that nothing holds.
    pub(in crate::registry) fn is_half_over(&self, idle_since: Option<Millis>) -> bool {
        idle_since
            .is_some_and(|since| crate::meta::now().saturating_sub(since) > millis(self.lease) / 2)
    }

    /// The policy of a repository.
    pub fn policy(&self, repository: &str) -> Option<&Policy> {
        self.policies
            .iter()
            .find(|policy| policy.repositories.matches(repository))
    }

    /// How long manifests without tags stay in a repository.
    pub fn untagged_rule(&self, repository: &str) -> KeepUntagged {
        self.policy(repository)
            .and_then(|policy| policy.untagged)
            .unwrap_or(self.untagged)
    }

    /// When a manifest that nothing holds is due; none if never.
    pub fn due(&self, manifest: &IdleManifest) -> Option<Millis> {
        let since = last_needed(manifest);
        if manifest.is_freed {
            return Some(since.saturating_add(self.hold()));
        }
        match self.untagged_rule(&manifest.repository) {
            KeepUntagged::Forever => None,
            KeepUntagged::Never => Some(since.saturating_add(self.hold())),
            KeepUntagged::For(time) => Some(since.saturating_add(millis(time).max(self.hold()))),
        }
    }
}

/// The last time that anybody wanted an idle manifest.
fn last_needed(manifest: &IdleManifest) -> Millis {
    manifest
        .idle_since
        .max(manifest.pulled_at.unwrap_or(Millis::MIN))
}

/// In the database's unit.
pub(in crate::registry) fn millis(time: Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}

impl Policy {
    pub fn is_immutable(&self, tag: &str) -> bool {
        self.immutable.iter().any(|pattern| pattern.matches(tag))
    }

    /// Decides about all tags of a repository, by their names.
    pub fn decide(&self, mut tags: Vec<TaggedRow>, now: Millis) -> Vec<TagDecision> {
        let mut newest = NewestTags::default();
        tags.iter().for_each(|tag| self.look(tag, &mut newest));
        let places = newest.places();
        tags.sort_by(|one, other| one.name.cmp(&other.name));
        tags.into_iter()
            .map(|tag| self.decide_one(tag, now, &places))
            .collect()
    }

    /// Takes note of a tag: every one has to be seen before any can be decided about.
    pub(in crate::registry) fn look(&self, tag: &TaggedRow, newest: &mut NewestTags) {
        if let Ok((number, rule)) = self.rule_of(&tag.name)
            && let Some(limit) = rule.newest.filter(|_| !rule.always)
        {
            let seen = newest.0.entry(number).or_default();
            seen.insert((Reverse(tag.updated_at), tag.name.clone()));
            if seen.len() as u64 > limit {
                seen.pop_last();
            }
        }
    }

    /// The rule that decides about a tag, or why none does.
    fn rule_of(&self, tag: &str) -> Result<(usize, &TagRule), &'static str> {
        if is_signature(tag) {
            return Err("it belongs to an image and goes with it");
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

    pub(in crate::registry) fn decide_one(
        &self,
        tag: TaggedRow,
        now: Millis,
        places: &TagRanks,
    ) -> TagDecision {
        let kept = |reason: String, until| TagDecision {
            tag: tag.name.clone(),
            is_kept: true,
            reason,
            until,
        };
        let rule = match self.rule_of(&tag.name) {
            Ok((_, rule)) => rule,
            Err(reason) => return kept(reason.to_owned(), None),
        };
        let name = rule
            .tags
            .iter()
            .map(Glob::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        if rule.always {
            return kept(format!("'{name}' is always kept"), None);
        }
        if let (Some(place), Some(newest)) = (places.0.get(&tag.name), rule.newest) {
            return kept(
                format!("number {place} of the newest {newest} of '{name}'"),
                None,
            );
        }
        let ends = [
            rule.younger.map(|time| {
                (
                    tag.updated_at.saturating_add(millis(time)),
                    "younger than",
                    time,
                )
            }),
            // a push is as good as a pull: what nobody has had the time to pull yet stays as well
            rule.pulled.map(|time| {
                (
                    tag.updated_at
                        .max(tag.pulled_at.unwrap_or_default())
                        .saturating_add(millis(time)),
                    "pulled within",
                    time,
                )
            }),
        ];
        let last = ends
            .into_iter()
            .flatten()
            .filter(|(end, ..)| *end > now)
            .max_by_key(|(end, ..)| *end);
        match last {
            Some((end, what, time)) => {
                kept(format!("{what} {} ('{name}')", length(time)), Some(end))
            }
            None => TagDecision {
                is_kept: false,
                reason: format!("nothing of '{name}' keeps it"),
                until: None,
                tag: tag.name,
            },
        }
    }
}

/// The newest tags of each rule that keeps a number of them, of those seen so far: newest first, and by name among those of
/// one moment, so that the same are kept whenever it is asked. Holds what the rules keep, and not what there is.
#[derive(Default)]
pub(in crate::registry) struct NewestTags(BTreeMap<usize, BTreeSet<(Reverse<Millis>, String)>>);

/// The places of those tags, counted from 1.
#[derive(Debug, Default)]
pub(in crate::registry) struct TagRanks(HashMap<String, u64>);

impl NewestTags {
    /// Once all tags have been seen. A tag is in one list at the most, since one rule decides about it.
    pub(in crate::registry) fn places(self) -> TagRanks {
        TagRanks(
            self.0
                .into_values()
                .flat_map(|seen| seen.into_iter().map(|(_, name)| name).zip(1..))
                .collect(),
        )
    }
}

/// `sha256-<hex>`, with or without a suffix: how signatures name their image by tag.
pub(in crate::registry) fn is_signature(tag: &str) -> bool {
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

    fn tag(name: &str, updated_at: Millis, pulled_at: Option<Millis>) -> TaggedRow {
        TaggedRow {
            name: name.to_owned(),
            updated_at,
            pulled_at,
        }
    }

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
            untagged: None,
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
            tag("v1", 1, None),
            tag(&format!("sha256-{}.sig", "a".repeat(64)), 1, None),
        ];
        let decisions = policy.decide(tags, 100);
        let signature = format!("sha256-{}.sig", "a".repeat(64));
        assert_eq!(
            kept(&decisions),
            ["nightly", "pr-3", "pr-4", &signature, "v1"]
        );
        let until = |name: &str| {
            decisions
                .iter()
                .find(|decision| decision.tag == name)
                .unwrap()
                .until
        };
        assert_eq!(
            (until("nightly"), until("pr-4"), until("v1")),
            (Some(110), None, None)
        );
    }

    #[test]
    fn lengths_are_written_as_they_are_read() {
        for (seconds, text) in [
            (0.0, "0s"),
            (0.5, "500ms"),
            (90.0 * 86400.0, "90d"),
            (5400.0, "1h30m"),
            (90061.001, "1d1h1m1s1ms"),
        ] {
            assert_eq!(length(Duration::from_secs_f64(seconds)), text);
        }
    }

    #[test]
    fn a_tag_that_no_rule_matches_is_kept() {
        assert_eq!(
            kept(
                &policy(vec![rule("pr-*")])
                    .decide(vec![tag("main", 1, None), tag("pr-1", 1, None)], 100)
            ),
            ["main"]
        );
    }

    #[test]
    fn retention_may_remove_immutable_tags_where_it_is_told_to() {
        let policy = Policy {
            expire_immutable: true,
            ..policy(vec![rule("*")])
        };
        assert!(kept(&policy.decide(vec![tag("v1", 1, None)], 100)).is_empty());
    }

    #[test]
    fn the_first_matching_policy_counts() {
        let first = Policy {
            repositories: pattern("team/*"),
            untagged: Some(KeepUntagged::Never),
            ..policy(Vec::new())
        };
        let retention = Retention {
            policies: vec![first, policy(Vec::new())],
            ..Retention::default()
        };
        assert_eq!(
            retention.policy("team/app").unwrap().untagged,
            Some(KeepUntagged::Never)
        );
        assert_eq!(retention.policy("team/app/more").unwrap().untagged, None);
        assert_eq!(Retention::default().policy("a"), None);
    }
}
