//! `registry quotas`: what repositories hold, beside their limits.

use serde_json::json;
use tarkeep::report::{self, QuotaItem};

use crate::cli::error::Error;
use crate::cli::place::{Place, RemoteList};
use crate::cli::terminal::list::List;
use crate::cli::terminal::output::{self, Format, Output};
use crate::cli::terminal::table::{Cell, Column};

const COLUMNS: [Column; 6] = [
    Column::name("QUOTA"),
    Column::number("USED"),
    Column::number("UPLOADS"),
    Column::number("LIMIT"),
    Column::number("%"),
    Column::number("REPOSITORIES"),
];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let format = arguments.output.format;
    let quotas = match arguments.place.server()? {
        Some(remote) => RemoteList::new(&remote, "quotas", "quotas").all().await?,
        None => report::quotas(&arguments.place.store.open().await?).await?,
    };
    if format == Format::Text && quotas.is_empty() {
        return output::say(
            "no repository has a quota: the section quotas of the configuration sets some",
        );
    }
    let mut list = List::begin(format, "quotas", &COLUMNS)?;
    for quota in &quotas {
        list.push(|| cells(quota), || json!(quota))?;
    }
    list.finish()
}

/// Returns the part of the limit that is used, in per cent; what is over it counts.
fn percent(quota: &QuotaItem) -> u64 {
    match quota.limit {
        0 => 100,
        limit => (u128::from(quota.size) * 100 / u128::from(limit)) as u64,
    }
}

fn cells(quota: &QuotaItem) -> Vec<Cell> {
    vec![
        (&*quota.name).into(),
        Cell::Size(quota.size),
        Cell::Size(quota.upload_size),
        Cell::Size(quota.limit),
        Cell::Count(percent(quota)),
        Cell::Count(quota.repository_count),
    ]
}
