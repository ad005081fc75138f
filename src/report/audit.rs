//! The audit log.

use serde::{Deserialize, Serialize};

use crate::oci::Glob;
use crate::registry::{AuditAction, AuditFilter, AuditRow, Error, Millis, Page, Registry};
use crate::report::values::{Time, Who};
use crate::report::viewer::Viewer;

/// Rows read at once.
const BATCH: usize = 1000;
/// Maximum number of rows that are read for one page, which may be short then.
const ROWS: usize = 20 * BATCH;
/// Characters with which the variable part of a glob begins.
const WILD: [char; 5] = ['*', '?', '[', '{', '\\'];

/// A row of the audit log.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditItem {
    pub at: Time,
    pub action: String,
    pub repository: Option<String>,
    pub tag: Option<String>,
    pub digest: Option<String>,
    pub former_digest: Option<String>,
    pub who: Who,
    pub credential: Option<String>,
    pub user_agent: Option<String>,
    pub detail: Option<String>,
}

/// Words that choose rows.
#[derive(Clone, Debug, Default)]
pub struct AuditWords {
    pub who: Option<String>,
    pub action: Option<String>,
    /// Glob, and one of tags behind a colon.
    pub repository: Option<String>,
    pub since: Option<Millis>,
}

/// Rows that are asked for.
#[derive(Clone, Debug)]
pub struct AuditQuery {
    filter: AuditFilter,
    repositories: Option<Glob>,
    tags: Option<Glob>,
    since: Millis,
}

impl AuditQuery {
    /// Parses words.
    ///
    /// # Errors
    /// A sentence about an unknown action, a group, or a malformed glob.
    pub fn parse(words: AuditWords) -> Result<Self, String> {
        if let Some(group) = words.who.as_deref().filter(|who| who.starts_with('@')) {
            return Err(format!(
                "the audit log names users, not groups: ask for each of those that registry access show {group} lists"
            ));
        }
        let (repository, tag) = match words.repository.as_deref() {
            None => (None, None),
            Some(text) => match text.split_once(':') {
                Some((repository, tag)) => (Some(repository), Some(tag)),
                None => (Some(text), None),
            },
        };
        let literal = repository.map(|text| &text[..text.find(WILD).unwrap_or(text.len())]);
        Ok(Self {
            filter: AuditFilter {
                is_whole: literal == repository,
                repository: literal.map(str::to_owned),
                name: words.who,
                action: words.action.as_deref().map(action).transpose()?,
            },
            repositories: repository.map(Glob::for_repositories).transpose()?,
            tags: tag.map(Glob::for_tags).transpose()?,
            since: words.since.unwrap_or(Millis::MIN),
        })
    }

    fn has(&self, row: &AuditRow) -> bool {
        let is_in = |glob: &Option<Glob>, name: &Option<String>| {
            glob.as_ref()
                .is_none_or(|glob| name.as_deref().is_some_and(|name| glob.matches(name)))
        };
        is_in(&self.repositories, &row.repository) && is_in(&self.tags, &row.tag)
    }
}

fn action(name: &str) -> Result<&'static str, String> {
    let names = || AuditAction::ALL.iter().map(|action| action.as_str());
    names().find(|known| *known == name).ok_or_else(|| {
        let all: Vec<_> = names().collect();
        format!("'{name}' is none of {}", all.join(", "))
    })
}

/// Lists rows, newest first, after the page whose cursor is `last`. A page may be short though the list goes on.
///
/// # Errors
/// Those of the database.
pub async fn audit(
    registry: &Registry,
    query: &AuditQuery,
    viewer: &Viewer,
    last: Option<&str>,
    limit: usize,
) -> Result<Page<AuditItem>, Error> {
    let mut before = last.and_then(|last| last.parse().ok()).unwrap_or(i64::MAX);
    let (mut items, mut read) = (Vec::new(), 0);
    let next = loop {
        let filter = query.filter.clone();
        let rows = registry.audit().page(filter, before, BATCH).await?;
        let is_last = rows.len() < BATCH;
        read += rows.len();
        let mut is_full = false;
        for row in rows {
            if row.at < query.since {
                return Ok(Page { items, next: None });
            }
            if query.has(&row) {
                is_full = items.len() == limit;
                if is_full {
                    break;
                }
                before = row.id;
                items.push(item(row, viewer));
            } else {
                before = row.id;
            }
        }
        match (is_full, is_last) {
            (true, _) => break Some(before.to_string()),
            (false, true) => break None,
            (false, false) if read >= ROWS => break Some(before.to_string()),
            (false, false) => {}
        }
    };
    Ok(Page { items, next })
}

fn item(row: AuditRow, viewer: &Viewer) -> AuditItem {
    AuditItem {
        at: Time(row.at),
        action: row.action,
        repository: row.repository,
        tag: row.tag,
        digest: row.digest,
        former_digest: row.former,
        who: viewer.who(&row.actor),
        credential: row.actor.credential,
        user_agent: row.actor.user_agent,
        detail: row.detail,
    }
}
