//! The audit log.

use askama::Template;

use crate::escape;
use crate::registry::{AuditAction, Error, Registry};
use crate::report::{self, AuditQuery, AuditWords};
use crate::ui::changes::Change;
use crate::ui::page::Page;
use crate::ui::parts::{Short, Text};
use crate::ui::query::Query;
use crate::ui::shell::{Section, Shell, Twin};
use crate::ui::site::Reader;

/// Number of rows on a page.
const PAGE: usize = 100;

#[derive(Template)]
#[template(path = "activity.html")]
struct ActivityPage {
    shell: Shell,
    days: Vec<Day>,
    words: AuditWords,
    actions: Vec<&'static str>,
    next: Option<String>,
    is_filtered: bool,
}

/// Rows of a day.
struct Day {
    /// `2026-11-27`.
    date: String,
    changes: Vec<Change>,
}

/// Makes the page of the audit log.
///
/// # Errors
/// Those of the database.
pub async fn activity(
    registry: &Registry,
    reader: &Reader,
    query: &AuditQuery,
    words: AuditWords,
    last: Option<&str>,
) -> Result<Page, Error> {
    let page = report::audit(registry, query, &reader.viewer, last, PAGE).await?;
    let mut days: Vec<Day> = Vec::new();
    for item in page.items {
        let date: String = item.at.to_string().chars().take(10).collect();
        let change = Change::of(item);
        match days.last_mut().filter(|day| day.date == date) {
            Some(day) => day.changes.push(change),
            None => days.push(Day {
                date,
                changes: vec![change],
            }),
        }
    }
    let chosen = Query::default()
        .with("who", words.who.as_deref())
        .with("action", words.action.as_deref())
        .with("repository", words.repository.as_deref());
    let mut command = "registry audit".to_owned();
    for (flag, word) in [
        ("--who", &words.who),
        ("--action", &words.action),
        ("--repository", &words.repository),
    ] {
        if let Some(word) = word {
            command += &format!(" {flag} {}", escape::shell(word));
        }
    }
    let twin = Twin {
        command: format!("{command} --server {}", reader.site.url),
        api: format!("audit{chosen}"),
    };
    Page::of(&ActivityPage {
        shell: Shell::new(reader, Section::Activity, "Activity", twin),
        days,
        is_filtered: !chosen.to_string().is_empty(),
        next: page
            .next
            .map(|last| chosen.with("last", Some(&last)).to_string()),
        words,
        actions: AuditAction::ALL
            .iter()
            .map(|action| action.as_str())
            .collect(),
    })
}
