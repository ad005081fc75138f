//! Retention rules for tags, applied during a sweep.
//!
//! A repository is reviewed when one of its tags was pushed or moved, and when a rule may decide
//! otherwise because time has passed; never merely because it exists.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{self, Receiver};

use crate::meta::{Actor, Cursor, Reader, RepositoryId, TagActivity, WriteTx, now};
use crate::registry::error::Error;
use crate::registry::gc::run::{SweepRun, gc_actor};
use crate::registry::gc::sweep_counts::{RemovedByRule, SweepCounts};
use crate::registry::policy::tag_policy::{Policy, TagRule};

/// Maximum number of repositories read at once.
const BATCH: usize = 500;
/// Maximum number of removed tags of a repository that are named for each rule.
const NAMED: usize = 20;

impl SweepRun<'_> {
    /// Removes the tags that the rules do not keep.
    ///
    /// Reviews repositories that are due for review or, with rules other than the server's, all of
    /// them.
    pub(in crate::registry) async fn tags(&mut self) -> Result<(), Error> {
        if self
            .sweep
            .retention
            .policies
            .iter()
            .all(|policy| policy.tags.is_empty())
        {
            return Ok(());
        }
        let (mut after, now) = (Cursor::START, now());
        loop {
            let uses_server_rules = self.sweep.uses_server_rules;
            let list = move |meta: &Reader<'_>, after: Cursor| match uses_server_rules {
                true => meta.repositories_due_for_review(now, after, BATCH),
                false => meta.all_repositories(after, BATCH),
            };
            let found = self.registry.scan(move |meta| list(meta, after)).await?;
            let Some((last, ..)) = found.last() else {
                return Ok(());
            };
            after = *last;
            for (_, repository, name) in found {
                let policy = self
                    .sweep
                    .retention
                    .policy(&name)
                    .filter(|policy| !policy.tags.is_empty())
                    .cloned();
                self.review(repository, &name, policy).await?;
            }
        }
    }

    async fn review(
        &mut self,
        repository: RepositoryId,
        name: &str,
        policy: Option<Policy>,
    ) -> Result<(), Error> {
        let uses_server_rules = self.sweep.uses_server_rules;
        if uses_server_rules {
            // a push from here on requests another review
            self.write(move |tx| Ok(tx.begin_review(repository)?))
                .await?;
        }
        let mut next = None;
        if let Some(policy) = policy {
            let grace = self.sweep.retention.grace;
            let decided = self.registry.scan(move |meta| {
                let tags = meta.tag_activities(repository)?;
                let rows: HashMap<String, TagActivity> = tags
                    .iter()
                    .map(|tag| (tag.name.clone(), tag.clone()))
                    .collect();
                Ok((policy.decide(tags, grace, now()), rows, policy))
            });
            let (decisions, mut rows, policy) = decided.await?;
            next = decisions.iter().filter_map(|decision| decision.until).min();
            let expired: Vec<(usize, TagActivity)> = decisions
                .into_iter()
                .filter(|decision| !decision.is_kept)
                .filter_map(|decision| {
                    let rule = policy.rule_number(&decision.tag)?;
                    Some((rule, rows.remove(&decision.tag)?))
                })
                .collect();
            let actors = actors(&policy);
            let (sender, removed) = mpsc::channel();
            let remove = move |tx: &WriteTx<'_>, (rule, tag): &(usize, TagActivity)| {
                // checked again: it may have been moved or pulled since
                let is_unchanged = tx.tag_activity(repository, &tag.name)?.as_ref() == Some(tag);
                let is_removed =
                    is_unchanged && tx.delete_tag(repository, &tag.name, &actors[*rule], now())?;
                if is_removed {
                    // the receiver outlives the removals
                    let _ = sender.send((*rule, tag.name.clone()));
                }
                Ok(SweepCounts {
                    tags: u64::from(is_removed),
                    ..SweepCounts::default()
                })
            };
            self.apply_all(expired.into_iter(), remove).await?;
            self.tell(name, &policy, &removed);
        }
        if uses_server_rules {
            self.write(move |tx| Ok(tx.end_review(repository, next)?))
                .await?;
        }
        Ok(())
    }

    /// Logs which rules have removed which tags, and keeps that for the result.
    fn tell(&mut self, repository: &str, policy: &Policy, removed: &Receiver<(usize, String)>) {
        let mut by_rule: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (rule, tag) in removed.try_iter() {
            by_rule.entry(rule).or_default().push(tag);
        }
        for (number, mut names) in by_rule {
            let tags = names.len() as u64;
            names.truncate(NAMED);
            let removed = RemovedByRule {
                repository: repository.to_owned(),
                policy: policy.repositories.to_string(),
                rule: policy.tags[number].name(),
                tags,
                names,
            };
            tracing::info!(
                repository,
                policy = removed.policy,
                rule = removed.rule,
                tags,
                names = removed.names.join(" "),
                "a rule removed tags; registry restore brings them back"
            );
            self.by_rules.push(removed);
        }
    }
}

/// Returns the actors of a policy's rules, by number.
fn actors(policy: &Policy) -> Vec<Actor> {
    let actor = |rule: &TagRule| {
        gc_actor(&format!(
            "rule '{}' of policy '{}'",
            rule.name(),
            policy.repositories
        ))
    };
    policy.tags.iter().map(actor).collect()
}
