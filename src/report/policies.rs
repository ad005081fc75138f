//! Decisions of the retention rules about each tag, and what the rules remove; those in force, or others that are tried out.

use serde::{Deserialize, Serialize};

use crate::oci::{Glob, RepositoryName};
use crate::registry::{
    Error, Millis, Page, PolicyPreview, Registry, Retention, RuleEffect, TagDecision,
};
use crate::report::values::Time;
use crate::report::viewer::Viewer;

/// Effect of a rule.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleEffectItem {
    /// Glob of the policy.
    pub policy: String,
    /// Globs of the rule.
    pub rule: String,
    /// Number of tags that it decides about.
    pub tag_count: u64,
    pub removed_count: u64,
    /// `None` for whoever may not see all repositories.
    pub frees: Option<FreedBlobs>,
}

/// Disk space that comes back.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FreedBlobs {
    pub size: u64,
    pub blob_count: u64,
}

/// Decision about a tag.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct DecisionItem {
    pub repository: String,
    pub tag: String,
    /// Glob of the policy that applies.
    pub policy: Option<String>,
    /// Globs of the rule that decides.
    pub rule: Option<String>,
    pub kept: bool,
    pub reason: String,
    pub until: Option<Time>,
}

/// Rules that apply to a repository.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RulesItem {
    pub repository: String,
    pub policy: Option<String>,
    /// Time for which images without a tag stay.
    pub keep_untagged: String,
}

/// Preview of rules, or a page of it: sums and rules are on the first.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PreviewItem {
    pub at: Time,
    pub summary: Vec<RuleEffectItem>,
    pub tags: Vec<DecisionItem>,
    pub repositories: Vec<RulesItem>,
}

/// Tags that a preview lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    All,
    Removed,
}

/// Repositories, tags and time that a preview is about.
#[derive(Clone, Debug)]
pub struct PreviewQuery {
    /// In the order of their names.
    pub repositories: Vec<RepositoryName>,
    pub tags: Option<Glob>,
    pub which: Decided,
    pub at: Millis,
}

/// Place in a list of decisions: behind a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionPlace {
    repository: RepositoryName,
    tag: String,
}

impl DecisionPlace {
    /// Parses the cursor of a page, `REPOSITORY:TAG`.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, tag) = text.split_once(':')?;
        Some(Self {
            repository: RepositoryName::parse(name).ok()?,
            tag: tag.to_owned(),
        })
    }
}

/// Makes a page of a preview, and the cursor of the next.
///
/// # Errors
/// Those of the database.
pub async fn preview(
    registry: &Registry,
    retention: &Retention,
    query: &PreviewQuery,
    (after, limit): (Option<DecisionPlace>, usize),
    viewer: &Viewer,
) -> Result<(PreviewItem, Option<String>), Error> {
    let (summary, repositories) = match after {
        None => (
            rule_effects(registry, retention, query, viewer).await?,
            applying_rules(retention, &query.repositories),
        ),
        Some(_) => Default::default(),
    };
    let page = decisions(registry, retention, query, after, limit).await?;
    let item = PreviewItem {
        at: Time(query.at),
        summary,
        tags: page.items,
        repositories,
    };
    Ok((item, page.next))
}

/// Returns the rules that apply to some repositories.
fn applying_rules(retention: &Retention, repositories: &[RepositoryName]) -> Vec<RulesItem> {
    let rules = |name: &RepositoryName| {
        let policy = retention.policy(name.as_str());
        RulesItem {
            repository: name.to_string(),
            policy: policy.map(|policy| policy.repositories.to_string()),
            keep_untagged: retention.untagged_rule(name.as_str()).to_string(),
        }
    };
    repositories.iter().map(rules).collect()
}

/// Sums up what each rule removes.
///
/// # Errors
/// Those of the database.
pub async fn rule_effects(
    registry: &Registry,
    retention: &Retention,
    query: &PreviewQuery,
    viewer: &Viewer,
) -> Result<Vec<RuleEffectItem>, Error> {
    let names = query.repositories.clone();
    let reports = registry.reports();
    let effects = reports.rule_effects(names, retention, query.at).await?;
    let item = |effect: RuleEffect| {
        let frees = FreedBlobs {
            size: effect.bytes,
            blob_count: effect.blobs,
        };
        RuleEffectItem {
            policy: effect.policy,
            rule: effect.rule,
            tag_count: effect.tags,
            removed_count: effect.removed_tags,
            frees: Some(frees).filter(|_| viewer.sees_everything()),
        }
    };
    Ok(effects.into_iter().map(item).collect())
}

/// Lists decisions by repository and tag, a page of them behind a place.
async fn decisions(
    registry: &Registry,
    retention: &Retention,
    query: &PreviewQuery,
    after: Option<DecisionPlace>,
    limit: usize,
) -> Result<Page<DecisionItem>, Error> {
    let begin = after.as_ref().map_or(0, |after| {
        let names = &query.repositories;
        names.partition_point(|name| name < &after.repository)
    });
    let mut items = Vec::new();
    for name in &query.repositories[begin..] {
        let after = after.as_ref().filter(|after| after.repository == *name);
        let mut next = Some(after.map_or_else(String::new, |after| after.tag.clone()));
        let reports = registry.reports();
        let preview = reports.preview_policy(name, retention, query.at).await?;
        while let Some(last) = next {
            let page = reports.preview_tags(name, &preview, last).await?;
            let chosen = page.items.into_iter().filter(|tag| query.lists(tag));
            items.extend(chosen.map(|decision| decision_item(name, &preview, decision)));
            if items.len() > limit {
                items.truncate(limit);
                let last = items.last();
                let next = last.map(|last| format!("{}:{}", last.repository, last.tag));
                return Ok(Page { items, next });
            }
            next = page.next;
        }
    }
    Ok(Page { items, next: None })
}

impl PreviewQuery {
    fn lists(&self, decision: &TagDecision) -> bool {
        let tags = self.tags.as_ref();
        tags.is_none_or(|tags| tags.matches(&decision.tag))
            && !(self.which == Decided::Removed && decision.is_kept)
    }
}

pub(super) fn decision_item(
    name: &RepositoryName,
    preview: &PolicyPreview,
    decision: TagDecision,
) -> DecisionItem {
    DecisionItem {
        repository: name.to_string(),
        tag: decision.tag,
        policy: preview.policy.clone(),
        rule: decision.rule,
        kept: decision.is_kept,
        reason: decision.reason,
        until: decision.until.map(Time),
    }
}
