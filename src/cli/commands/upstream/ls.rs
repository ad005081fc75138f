//! `registry upstream ls`.

use serde_json::json;
use tarkeep::report::{self, UpstreamItem};

use super::arguments::ListArguments;
use super::{adoption, sync};
use crate::cli::error::Error;
use crate::cli::place::RemoteList;
use crate::cli::terminal::list::List;
use crate::cli::terminal::output::{self, Format};
use crate::cli::terminal::table::{Cell, Column};

const COLUMNS: [Column; 10] = [
    Column::name("UPSTREAM"),
    Column::text("URL"),
    Column::text("STATE"),
    Column::text("AS OF"),
    Column::number("REMAINING"),
    Column::number("REPOSITORIES"),
    Column::number("SIZE"),
    Column::number("KEPT"),
    Column::number("LIMIT"),
    Column::number("HITS %"),
];

pub(super) async fn run(arguments: ListArguments) -> Result<(), Error> {
    let format = arguments.output.format;
    let upstreams = match arguments.place.server()? {
        Some(remote) => {
            RemoteList::new(&remote, "upstreams", "upstreams")
                .all()
                .await?
        }
        None => report::upstreams(&arguments.place.store.open().await?).await?,
    };
    if format == Format::Text && upstreams.is_empty() {
        return output::say(
            "no server has had an upstream here: the section upstreams of the configuration sets some",
        );
    }
    let mut list = List::begin(format, "upstreams", &COLUMNS)?;
    for upstream in &upstreams {
        list.push(|| cells(upstream), || json!(upstream))?;
    }
    list.finish()?;
    match format {
        Format::Text => {
            say_failures(&upstreams)?;
            adoption::say(&upstreams)?;
            sync::say(&upstreams)
        }
        Format::Json => Ok(()),
    }
}

/// Returns the beginning of a failure, which says its kind.
fn short(failure: &str) -> &str {
    let failure = failure.strip_prefix("the upstream ").unwrap_or(failure);
    let end = failure.find([':', ',']).unwrap_or(failure.len());
    failure.get(..end).unwrap_or(failure)
}

/// Says below the table what does not fit into it.
fn say_failures(upstreams: &[UpstreamItem]) -> Result<(), Error> {
    let failing = upstreams
        .iter()
        .filter(|upstream| upstream.reachable == Some(false));
    for upstream in failing {
        let failure = upstream.failure.as_deref().unwrap_or_default();
        if failure.contains([':', ',']) {
            let place = adoption::place(upstream, upstreams);
            output::say(&format!("\n{place}: {failure}"))?;
        }
    }
    Ok(())
}

/// Returns the part of the pulls that needed no fetch, in per cent.
fn hit_rate(upstream: &UpstreamItem) -> Option<u64> {
    let (hits, misses) = (upstream.hit_count, upstream.miss_count);
    (hits * 100).checked_div(hits + misses)
}

fn cells(upstream: &UpstreamItem) -> Vec<Cell> {
    let said = match upstream.reachable {
        None => "not asked yet".to_owned(),
        Some(true) => "answers".to_owned(),
        Some(false) => short(upstream.failure.as_deref().unwrap_or_default()).to_owned(),
    };
    // the last request, which says what remains of the quota as well
    let times = [&upstream.answered, &upstream.failed];
    let as_of = times.into_iter().flatten().map(|time| time.0).max();
    let name = match &*upstream.name {
        "" => "(whole registry)",
        name => name,
    };
    vec![
        name.into(),
        (&*upstream.url).into(),
        said.into(),
        as_of.map_or(Cell::Empty, Cell::Time),
        upstream.quota_remaining.map_or(Cell::Empty, Cell::Count),
        Cell::Count(upstream.repository_count),
        Cell::Size(upstream.size),
        Cell::Size(upstream.kept_size),
        upstream.size_limit.map_or(Cell::Empty, Cell::Size),
        hit_rate(upstream).map_or(Cell::Empty, Cell::Count),
    ]
}
