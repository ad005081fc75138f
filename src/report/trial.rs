//! Rules that are tried out, beside those in force: what becomes of every tag.

use crate::registry::{Error, Registry, Retention};
use crate::report::policies::{DecisionItem, PreviewQuery, decision_item};

/// Tags that a trial lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialList {
    /// Those about which the rules in force decide otherwise.
    Changed,
    Removed,
    Kept,
}

/// Decision about a tag by rules that are tried out, and by those in force.
#[derive(Clone, Debug)]
pub struct TriedTag {
    pub tried: DecisionItem,
    pub in_force: DecisionItem,
}

/// Outcome of a trial for the tags of some repositories.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    pub changed: u64,
    pub removed: u64,
    pub kept: u64,
    /// Tags that the rules in force remove.
    pub removed_in_force: u64,
    /// The first tags of the chosen list.
    pub tags: Vec<TriedTag>,
}

impl TriedTag {
    /// Reports whether the two decide alike; the sentence may differ.
    pub fn is_same(&self) -> bool {
        let (one, other) = (&self.tried, &self.in_force);
        (one.kept, one.until) == (other.kept, other.until)
    }
}

impl Trial {
    fn add(&mut self, tag: TriedTag, list: TrialList, limit: usize) {
        let is_same = tag.is_same();
        self.changed += u64::from(!is_same);
        self.removed += u64::from(!tag.tried.kept);
        self.kept += u64::from(tag.tried.kept);
        self.removed_in_force += u64::from(!tag.in_force.kept);
        let is_listed = match list {
            TrialList::Changed => !is_same,
            TrialList::Removed => !tag.tried.kept,
            TrialList::Kept => tag.tried.kept,
        };
        if is_listed && self.tags.len() < limit {
            self.tags.push(tag);
        }
    }
}

/// Tries rules on every tag; holds `limit` decisions of the list at most.
///
/// # Errors
/// Those of the database.
pub async fn trial(
    registry: &Registry,
    tried: &Retention,
    query: &PreviewQuery,
    list: TrialList,
    limit: usize,
) -> Result<Trial, Error> {
    let settings = registry.settings();
    let reports = registry.reports();
    let mut trial = Trial::default();
    for name in &query.repositories {
        let one = reports.preview_policy(name, tried, query.at).await?;
        let in_force = &settings.retention;
        let other = reports.preview_policy(name, in_force, query.at).await?;
        let mut next = Some(String::new());
        while let Some(last) = next {
            let page = reports.preview_tags(name, &one, last.clone()).await?;
            let others = reports.preview_tags(name, &other, last).await?;
            let mut others = others.items.into_iter().peekable();
            for decision in page.items {
                while others.next_if(|other| other.tag < decision.tag).is_some() {}
                // a tag that was pushed or deleted in between has one decision
                if let Some(same) = others.next_if(|other| other.tag == decision.tag) {
                    let tag = TriedTag {
                        tried: decision_item(name, &one, decision),
                        in_force: decision_item(name, &other, same),
                    };
                    trial.add(tag, list, limit);
                }
            }
            next = page.next;
        }
    }
    Ok(trial)
}
