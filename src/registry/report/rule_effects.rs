//! Effects of the tag rules: the tags that each removes, and the disk space that this frees.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::meta::{self, Millis};
use crate::oci::{RepositoryName, TagName};
use crate::registry::error::Error;
use crate::registry::facades::Reports;
use crate::registry::policy::retention::Retention;
use crate::registry::policy::tag_policy::Policy;
use crate::registry::report::removal::RemovalTotals;
use crate::registry::report::simulation::Simulation;

/// Effect of one tag rule in all repositories of its policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleEffect {
    /// Glob of the policy.
    pub policy: String,
    /// Globs of the rule.
    pub rule: String,
    /// Tags on which the rule decides.
    pub tags: u64,
    pub removed_tags: u64,
    /// Blobs that lose their last holder, sooner or later; a blob that several rules free counts for the last.
    pub blobs: u64,
    pub bytes: u64,
}

impl Reports<'_> {
    /// Sums up what each rule removes from some repositories at a time, in the order of the policies and rules.
    pub async fn rule_effects(
        self,
        repositories: Vec<RepositoryName>,
        retention: &Retention,
        at: Millis,
    ) -> Result<Vec<RuleEffect>, Error> {
        let retention = retention.clone();
        self.registry
            .scan(move |meta| {
                let mut effects = BTreeMap::new();
                let mut simulation = Simulation::new(meta, &retention, None);
                // what is removed anyway holds nothing
                simulation.collect_unreferenced(|_| true)?;
                for repository in &repositories {
                    let place = retention
                        .policies
                        .iter()
                        .position(|policy| policy.repositories.matches(repository.as_str()));
                    let Some(place) = place else { continue };
                    let policy = &retention.policies[place];
                    for (number, effect) in
                        in_repository(&mut simulation, policy, retention.grace, repository, at)?
                    {
                        add(effects.entry((place, number)).or_default(), effect);
                    }
                }
                Ok(effects.into_values().collect())
            })
            .await
    }
}

/// Removes the tags that the rules of a policy remove from a repository; returns the effects by number of the rule.
fn in_repository(
    simulation: &mut Simulation<'_>,
    policy: &Policy,
    grace: Duration,
    repository: &RepositoryName,
    at: Millis,
) -> Result<BTreeMap<usize, RuleEffect>, meta::Error> {
    let mut effects: BTreeMap<usize, RuleEffect> = BTreeMap::new();
    if policy.tags.is_empty() {
        return Ok(effects);
    }
    let tags = simulation.meta().tag_activities_in(repository)?;
    let mut removed: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for decision in policy.decide(tags, grace, at) {
        let Some(number) = policy.rule_number(&decision.tag) else {
            continue;
        };
        let effect = effects.entry(number).or_insert_with(|| RuleEffect {
            policy: policy.repositories.to_string(),
            rule: policy.tags[number].name(),
            ..RuleEffect::default()
        });
        effect.tags += 1;
        if !decision.is_kept {
            removed.entry(number).or_default().push(decision.tag);
        }
    }
    for (number, tags) in removed {
        let before = simulation.removals.len();
        let mut count = 0;
        for tag in tags.iter().filter_map(|tag| TagName::parse(tag).ok()) {
            if let Some(manifest) = simulation.meta().held_by_tag(repository, &tag)? {
                simulation.remove_tag(manifest, &tag, at)?;
                count += 1;
            }
        }
        let totals = RemovalTotals::of(simulation.removals[before..].iter());
        if let Some(effect) = effects.get_mut(&number) {
            effect.removed_tags = count;
            effect.blobs = totals.blobs;
            effect.bytes = totals.bytes;
        }
    }
    Ok(effects)
}

fn add(sum: &mut RuleEffect, effect: RuleEffect) {
    *sum = RuleEffect {
        tags: sum.tags + effect.tags,
        removed_tags: sum.removed_tags + effect.removed_tags,
        blobs: sum.blobs + effect.blobs,
        bytes: sum.bytes + effect.bytes,
        ..effect
    };
}
