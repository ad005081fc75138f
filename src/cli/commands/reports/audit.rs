//! `registry audit`: who changed what, and when.

use serde_json::{Value, json};
use tarkeep::oci::Glob;
use tarkeep::registry::{AuditAction, AuditFilter, AuditRow, Millis, Registry, now};

use crate::cli::error::Error;
use crate::cli::store::Store;
use crate::cli::terminal::list::List;
use crate::cli::terminal::output::{self, Format, Output};
use crate::cli::terminal::table::{Cell, Column};
use crate::cli::terminal::values::short_digest;
use crate::cli::terminal::{json, time_arg};

/// Rows read at once.
const PAGE: usize = 1000;
/// Characters with which the variable part of a glob begins.
const WILD: [char; 5] = ['*', '?', '[', '{', '\\'];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only repositories, or tags in them, that match: team/app, team/app:latest, or quoted globs such as 'team/**:v*'
    #[arg(long, value_name = "GLOB[:TAG]")]
    repository: Option<String>,
    /// Only what was done by this user, token:NAME, or account
    #[arg(long, value_name = "WHO")]
    who: Option<String>,
    /// Only this: push, tag, untag, delete, restore, token-create, token-rotate, token-revoke, token-first-use,
    /// login-refused or configure
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only what happened since: 2h, 14d, 2026-11-21
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Maximum number of rows; 0 for all
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    store: Store,
    #[command(flatten)]
    output: Output,
}

/// Rows that are asked for, as far as the database does not know.
struct Wanted {
    repositories: Option<Glob>,
    tags: Option<Glob>,
    since: Millis,
    limit: usize,
}

impl Wanted {
    fn has(&self, row: &AuditRow) -> bool {
        let is_in = |glob: &Option<Glob>, name: &Option<String>| {
            glob.as_ref()
                .is_none_or(|glob| name.as_deref().is_some_and(|name| glob.matches(name)))
        };
        is_in(&self.repositories, &row.repository) && is_in(&self.tags, &row.tag)
    }
}

const COLUMNS: [Column; 7] = [
    Column::fixed("TIME"),
    Column::fixed("ACTION"),
    Column::name("REPOSITORY"),
    Column::text("TAG"),
    Column::text("DIGEST"),
    Column::text("BY"),
    Column::text("DETAIL"),
];

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let (filter, wanted) = parsed(&arguments)?;
    let format = arguments.output.format;
    let registry = arguments.store.open().await?;
    let mut list = List::begin(format, "events", &COLUMNS)?;
    let shown = show(&registry, filter, &wanted, &mut list).await?;
    if shown == 0 && format == Format::Text {
        return output::say("nothing of that is in the audit log");
    }
    list.finish()
}

fn parsed(arguments: &Arguments) -> Result<(AuditFilter, Wanted), Error> {
    let action = match &arguments.action {
        None => None,
        Some(name) => Some(action(name)?),
    };
    let (repository, tag) = match arguments
        .repository
        .as_deref()
        .map(|text| text.split_once(':'))
    {
        Some(Some((repository, tag))) => (Some(repository), Some(tag)),
        Some(None) => (arguments.repository.as_deref(), None),
        None => (None, None),
    };
    let glob = |text, parse: fn(&str) -> Result<Glob, String>| match text {
        None => Ok(None),
        Some(text) => parse(text).map(Some).map_err(Error::Other),
    };
    if let Some(group) = arguments.who.as_deref().filter(|who| who.starts_with('@')) {
        return Err(Error::Other(format!(
            "the audit log names users, not groups: ask for each of those that registry access show {group} lists"
        )));
    }
    let since = match &arguments.since {
        None => Millis::MIN,
        Some(text) => time_arg::parse(text, now())?,
    };
    let literal = repository.map(|text| &text[..text.find(WILD).unwrap_or(text.len())]);
    let filter = AuditFilter {
        is_whole: literal == repository,
        repository: literal.map(str::to_owned),
        name: arguments.who.clone(),
        action,
    };
    let limit = match arguments.limit {
        0 => usize::MAX,
        limit => limit,
    };
    let wanted = Wanted {
        repositories: glob(repository, Glob::for_repositories)?,
        tags: glob(tag, Glob::for_tags)?,
        since,
        limit,
    };
    Ok((filter, wanted))
}

fn action(name: &str) -> Result<&'static str, Error> {
    let mut names = AuditAction::ALL.iter().map(|action| action.as_str());
    names.find(|known| *known == name).ok_or_else(|| {
        let all: Vec<_> = AuditAction::ALL
            .iter()
            .map(|action| action.as_str())
            .collect();
        Error::Other(format!("'{name}' is none of {}", all.join(", ")))
    })
}

/// Lists rows, newest first, and returns their number. Each page is a read of its own.
async fn show(
    registry: &Registry,
    filter: AuditFilter,
    wanted: &Wanted,
    list: &mut List,
) -> Result<usize, Error> {
    let (mut before, mut shown) = (i64::MAX, 0);
    loop {
        let page = registry.audit().page(filter.clone(), before, PAGE).await?;
        let is_last = page.len() < PAGE;
        for row in page {
            before = row.id;
            if row.at < wanted.since || shown >= wanted.limit {
                return Ok(shown);
            }
            if wanted.has(&row) {
                list.push(|| cells(&row), || as_json(&row))?;
                shown += 1;
            }
        }
        if is_last {
            return Ok(shown);
        }
    }
}

fn cells(row: &AuditRow) -> Vec<Cell> {
    let short = |digest: &Option<String>| {
        digest
            .as_deref()
            .map(|digest| short_digest(digest).to_owned())
    };
    let digests = match (short(&row.former), short(&row.digest)) {
        (Some(former), Some(digest)) => format!("{former} > {digest}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => String::new(),
    };
    vec![
        Cell::Time(row.at),
        (&*row.action).into(),
        row.repository.as_deref().into(),
        row.tag.as_deref().into(),
        digests.into(),
        Cell::actor(&row.actor),
        row.detail.as_deref().into(),
    ]
}

fn as_json(row: &AuditRow) -> Value {
    json!({
        "at": json::time(row.at),
        "action": row.action,
        "repository": row.repository,
        "tag": row.tag,
        "digest": row.digest,
        "formerDigest": row.former,
        "who": json::who(&row.actor),
        "credential": row.actor.credential,
        "userAgent": row.actor.user_agent,
        "detail": row.detail,
    })
}
