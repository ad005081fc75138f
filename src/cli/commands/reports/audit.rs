//! `registry audit`: who changed what, and when.

use serde_json::json;
use tarkeep::registry::{Registry, now};
use tarkeep::report::{self, AuditItem, AuditQuery, AuditWords, Viewer};

use crate::cli::error::Error;
use crate::cli::place::{Place, RemoteList};
use crate::cli::terminal::list::List;
use crate::cli::terminal::output::{self, Format, Output};
use crate::cli::terminal::table::{Cell, Column};
use crate::cli::terminal::time_arg;
use crate::cli::terminal::values::{exact_time, short_digest};

/// Rows read at once.
const PAGE: usize = 1000;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only repositories, or tags in them, that match: team/app, team/app:latest, or quoted globs such as 'team/**:v*'
    #[arg(long, value_name = "GLOB[:TAG]")]
    repository: Option<String>,
    /// Only what was done by this user, token:NAME, or account
    #[arg(long, value_name = "WHO")]
    who: Option<String>,
    /// Only this: push, tag, untag, delete, restore, token-create, token-rotate, token-revoke, token-first-use,
    /// login-refused, login, logout or configure
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only what happened since: 2h, 14d, 2026-11-21
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Maximum number of rows; 0 for all
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
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
    let query = query(&arguments)?;
    let format = arguments.output.format;
    let limit = match arguments.limit {
        0 => usize::MAX,
        limit => limit,
    };
    let mut list = List::begin(format, "events", &COLUMNS)?;
    let shown = match arguments.place.server()? {
        Some(remote) => {
            let mut events = RemoteList::new(&remote, "audit", "events");
            events.limit = Some(limit);
            events.parameters = parameters(&arguments)?;
            let push = |item: AuditItem| list.push(|| cells(&item), || json!(item));
            events.each(push).await?
        }
        None => {
            let registry = arguments.place.store.open().await?;
            local(&registry, &query, limit, &mut list).await?
        }
    };
    if shown == 0 && format == Format::Text {
        return output::say("nothing of that is in the audit log");
    }
    list.finish()
}

/// Lists the events of a store, page by page, and returns their number. Each page is a read of its own.
async fn local(
    registry: &Registry,
    query: &AuditQuery,
    limit: usize,
    list: &mut List,
) -> Result<usize, Error> {
    let (mut shown, mut last): (usize, Option<String>) = (0, None);
    loop {
        let wanted = PAGE.min(limit - shown);
        let owner = Viewer::owner();
        let page = report::audit(registry, query, &owner, last.as_deref(), wanted).await?;
        for item in &page.items {
            list.push(|| cells(item), || json!(item))?;
        }
        shown += page.items.len();
        last = page.next;
        if last.is_none() || shown == limit {
            return Ok(shown);
        }
    }
}

/// Returns what a server is asked for.
fn parameters(arguments: &Arguments) -> Result<Vec<(&'static str, String)>, Error> {
    let since = arguments.since.as_deref();
    let since = since.map(|text| time_arg::parse(text, now())).transpose()?;
    let given = [
        ("who", arguments.who.clone()),
        ("action", arguments.action.clone()),
        ("repository", arguments.repository.clone()),
        ("since", since.map(exact_time)),
    ];
    let given = given
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)));
    Ok(given.collect())
}

fn query(arguments: &Arguments) -> Result<AuditQuery, Error> {
    let since = arguments.since.as_deref();
    let words = AuditWords {
        who: arguments.who.clone(),
        action: arguments.action.clone(),
        repository: arguments.repository.clone(),
        since: since.map(|text| time_arg::parse(text, now())).transpose()?,
    };
    AuditQuery::parse(words).map_err(Error::Other)
}

fn cells(item: &AuditItem) -> Vec<Cell> {
    let short = |digest: &Option<String>| {
        digest
            .as_deref()
            .map(|digest| short_digest(digest).to_owned())
    };
    let digests = match (short(&item.former_digest), short(&item.digest)) {
        (Some(former), Some(digest)) => format!("{former} > {digest}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => String::new(),
    };
    vec![
        Cell::from(item.at),
        (&*item.action).into(),
        item.repository.as_deref().into(),
        item.tag.as_deref().into(),
        digests.into(),
        Cell::who(&item.who),
        item.detail.as_deref().into(),
    ]
}
