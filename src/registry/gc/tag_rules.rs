//! Retention rules for tags, applied during a sweep.
//!
//! A repository is reviewed when one of its tags was pushed or moved, and when a rule may decide
//! otherwise because time has passed; never merely because it exists.

use std::collections::HashMap;

use crate::meta::{Cursor, Reader, RepositoryId, TagActivity, WriteTx, now};
use crate::registry::error::Error;
use crate::registry::gc::run::{SweepRun, gc_actor};
use crate::registry::gc::sweep_counts::SweepCounts;
use crate::registry::policy::tag_policy::Policy;

/// Maximum number of repositories read at once.
const BATCH: usize = 500;

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
                self.review(repository, policy).await?;
            }
        }
    }

    async fn review(
        &mut self,
        repository: RepositoryId,
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
            let decided = self.registry.scan(move |meta| {
                let tags = meta.tag_activities(repository)?;
                let rows: HashMap<String, TagActivity> = tags
                    .iter()
                    .map(|tag| (tag.name.clone(), tag.clone()))
                    .collect();
                Ok((policy.decide(tags, now()), rows))
            });
            let (decisions, mut rows) = decided.await?;
            next = decisions.iter().filter_map(|decision| decision.until).min();
            let expired = decisions
                .into_iter()
                .filter(|decision| !decision.is_kept)
                .filter_map(|decision| Some((rows.remove(&decision.tag)?, decision.reason)));
            let remove = move |tx: &WriteTx<'_>, (tag, rule): &(TagActivity, String)| {
                // checked again: it may have been moved or pulled since
                let is_unchanged = tx.tag_activity(repository, &tag.name)?.as_ref() == Some(tag);
                let is_removed = is_unchanged
                    && tx.delete_tag_because(
                        repository,
                        &tag.name,
                        Some(rule),
                        &gc_actor(),
                        now(),
                    )?;
                Ok(SweepCounts {
                    tags: u64::from(is_removed),
                    ..SweepCounts::default()
                })
            };
            self.apply_all(expired.collect::<Vec<_>>().into_iter(), remove)
                .await?;
        }
        if uses_server_rules {
            self.write(move |tx| Ok(tx.end_review(repository, next)?))
                .await?;
        }
        Ok(())
    }
}
