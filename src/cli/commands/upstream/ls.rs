//! `registry upstream ls`.

use serde_json::{Value, json};
use tarkeep::registry::{CacheRule, UpstreamRow};

use super::arguments::ListArguments;
use crate::cli::error::Error;
use crate::cli::terminal::json;
use crate::cli::terminal::list::List;
use crate::cli::terminal::output::{self, Format};
use crate::cli::terminal::table::{Cell, Column};

const COLUMNS: [Column; 9] = [
    Column::name("UPSTREAM"),
    Column::text("URL"),
    Column::text("STATE"),
    Column::number("REMAINING"),
    Column::number("REPOSITORIES"),
    Column::number("SIZE"),
    Column::number("KEPT"),
    Column::number("LIMIT"),
    Column::number("HITS %"),
];

pub(super) async fn run(arguments: ListArguments) -> Result<(), Error> {
    let format = arguments.output.format;
    let registry = arguments.store.open().await?;
    let upstreams = registry.upstreams().list().await?;
    let retention = registry.gc().recorded_retention().await?;
    let retention = retention.unwrap_or_default();
    if format == Format::Text && upstreams.is_empty() {
        return output::say(
            "no server has had an upstream here: the section upstreams of the configuration sets some",
        );
    }
    let mut list = List::begin(format, "upstreams", &COLUMNS)?;
    for upstream in &upstreams {
        let rule = retention.cache_rule(&upstream.state.name);
        list.push(|| cells(upstream, rule), || as_json(upstream, rule))?;
    }
    list.finish()
}

/// Reports whether the upstream answered last; `None` if it was not asked yet.
fn is_reachable(upstream: &UpstreamRow) -> Option<bool> {
    let state = &upstream.state;
    match (state.answered_at, state.failed_at) {
        (None, None) => None,
        (answered, failed) => Some(answered >= failed),
    }
}

/// Returns the part of the pulls that needed no fetch, in per cent.
fn hit_rate(upstream: &UpstreamRow) -> Option<u64> {
    let (hits, misses) = (upstream.state.hits, upstream.state.misses);
    (hits * 100).checked_div(hits + misses)
}

fn cells(upstream: &UpstreamRow, rule: Option<&CacheRule>) -> Vec<Cell> {
    let state = &upstream.state;
    let said = match is_reachable(upstream) {
        None => "not asked yet".to_owned(),
        Some(true) => "answers".to_owned(),
        Some(false) => state.failure.clone().unwrap_or_default(),
    };
    let name = match &*state.name {
        "" => "(whole registry)",
        name => name,
    };
    vec![
        name.into(),
        (&*state.url).into(),
        said.into(),
        state.quota_remaining.map_or(Cell::Empty, Cell::Count),
        Cell::Count(upstream.repositories),
        Cell::Size(upstream.bytes),
        Cell::Size(upstream.kept),
        rule.and_then(|rule| rule.size)
            .map_or(Cell::Empty, Cell::Size),
        hit_rate(upstream).map_or(Cell::Empty, Cell::Count),
    ]
}

fn as_json(upstream: &UpstreamRow, rule: Option<&CacheRule>) -> Value {
    let state = &upstream.state;
    json!({
        "name": state.name,
        "url": state.url,
        "reachable": is_reachable(upstream),
        "answered": state.answered_at.map(json::time),
        "failed": state.failed_at.map(json::time),
        "failure": state.failure,
        "quotaLimit": state.quota_limit,
        "quotaRemaining": state.quota_remaining,
        "repositoryCount": upstream.repositories,
        "size": upstream.bytes,
        "keptSize": upstream.kept,
        "sizeLimit": rule.and_then(|rule| rule.size),
        "unusedSeconds": rule.and_then(|rule| rule.unused).map(|unused| unused.as_secs()),
        "hitCount": state.hits,
        "missCount": state.misses,
        "staleCount": state.stale,
        "fetchedSize": state.fetched,
    })
}
