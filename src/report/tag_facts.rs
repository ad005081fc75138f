//! Facts about tags, beside the items of lists.

use crate::oci::RepositoryName;
use crate::registry::{Attached, Error, Registry, TagFacts};
use crate::report::values::{Time, Who};
use crate::report::viewer::Viewer;

/// Facts about a tag.
#[derive(Clone, Debug)]
pub struct TagFactsItem {
    pub tag: String,
    pub pushed_by: Who,
    /// Other tags of the same digest.
    pub siblings: Vec<String>,
    pub attached: Vec<Attached>,
    pub is_immutable: bool,
    /// Time at which a rule removes it, unless it is pushed or pulled before.
    pub expires: Option<Time>,
    /// True if the next sweep removes it.
    pub is_due: bool,
    /// Globs of the rule that decides about it.
    pub rule: Option<String>,
    /// Reason for which it is kept or not, in words.
    pub reason: Option<String>,
}

/// Returns facts about tags of a repository, without those that were removed meanwhile.
///
/// # Errors
/// Those of the database.
pub async fn tag_facts(
    registry: &Registry,
    repository: &RepositoryName,
    tags: Vec<String>,
    viewer: &Viewer,
) -> Result<Vec<TagFactsItem>, Error> {
    let settings = registry.settings();
    let facts = registry
        .reports()
        .tag_facts(repository, tags, &settings.retention)
        .await?;
    Ok(facts.into_iter().map(|one| item(one, viewer)).collect())
}

fn item(facts: TagFacts, viewer: &Viewer) -> TagFactsItem {
    let decision = facts.decision;
    let until = decision.as_ref().and_then(|decision| decision.until);
    TagFactsItem {
        tag: facts.tag,
        pushed_by: viewer.who(&facts.set_by),
        siblings: facts.siblings,
        attached: facts.attached,
        is_immutable: facts.is_immutable,
        expires: until.map(Time),
        is_due: decision.as_ref().is_some_and(|decision| !decision.is_kept),
        rule: decision.as_ref().and_then(|decision| decision.rule.clone()),
        reason: decision.map(|decision| decision.reason),
    }
}
