//! `registry growth`: sizes, pushes and pulls by repository and by day.

use serde_json::json;
use tarkeep::report::{self, GROWTH_DAYS, GrowthItem, RepositoryGrowthItem, Viewer};

use crate::cli::error::Error;
use crate::cli::place::{Place, failed};
use crate::cli::terminal::json;
use crate::cli::terminal::output::{self, Format, Output, Screen, written};
use crate::cli::terminal::reference::Reference;
use crate::cli::terminal::table::{Cell, Column, Table};

/// Show how repositories grew, and how often they were pushed to and pulled from
///
/// A size is recorded by the first garbage collection of a day, in UTC: for the whole store 400 days back, for a repository 100.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Repository, or a quoted glob: 'team/**' [default: all]
    #[arg(value_name = "REPOSITORY")]
    reference: Option<String>,
    /// Number of days until now, today included
    #[arg(long, value_name = "N", default_value_t = GROWTH_DAYS)]
    days: u32,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Arguments {
        reference,
        days,
        place,
        output: Output { format },
    } = arguments;
    let reference = reference.as_deref().map(Reference::parse).transpose()?;
    let remote = place.server()?;
    let growth: GrowthItem = match remote {
        Some(remote) => {
            let mut parameters = vec![("days", days.to_string())];
            if let Some(reference) = reference {
                let glob = reference.elsewhere("growth")?.whole("growth")?;
                parameters.push(("repositories", glob.to_string()));
            }
            let page = remote.get("growth", &parameters).await.map_err(failed)?;
            page.body
        }
        None => {
            let registry = place.store.open().await?;
            let glob = match reference {
                Some(reference) => {
                    let named = reference.resolve(&registry, "growth").await?;
                    Some(named.whole("growth")?)
                }
                None => None,
            };
            report::growth(&registry, days, glob, &Viewer::owner()).await?
        }
    };
    match format {
        Format::Json => json::print(&json!(growth)),
        Format::Text => show(&growth),
    }
}

fn show(growth: &GrowthItem) -> Result<(), Error> {
    let columns = [
        Column::name("REPOSITORY"),
        Column::number("BEFORE"),
        Column::number("SIZE"),
        Column::number("PUSHES"),
        Column::number("PULLS"),
    ];
    let mut table = Table::new(&columns, Screen::of_stdout());
    for one in &growth.repositories {
        written(table.row(cells(one)))?;
    }
    written(table.print(&mut std::io::stdout().lock()))?;
    let columns = [
        Column::fixed("DAY"),
        Column::number("SIZE"),
        Column::number("PUSHES"),
        Column::number("PULLS"),
    ];
    let mut table = Table::new(&columns, Screen::of_stdout());
    for day in &growth.days {
        written(table.row(vec![
            (&*day.date).into(),
            day.size.map_or(Cell::Empty, Cell::Size),
            Cell::Count(day.push_count),
            Cell::Count(day.pull_count),
        ]))?;
    }
    output::print("\n")?;
    written(table.print(&mut std::io::stdout().lock()))
}

fn cells(growth: &RepositoryGrowthItem) -> Vec<Cell> {
    vec![
        (&*growth.repository).into(),
        Cell::Size(growth.former_size),
        Cell::Size(growth.size),
        Cell::Count(growth.push_count),
        Cell::Count(growth.pull_count),
    ]
}
