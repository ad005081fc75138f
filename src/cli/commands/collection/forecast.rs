//! Output of `gc --dry-run` and `garbage-collect`: what would be removed.

use tarkeep::registry::{
    Forecast, PlannedRemoval, Registry, RemovalKind, RemovalTotals, Retention,
};
use tarkeep::report::{self, CollectionReport};

use crate::cli::error::Error;
use crate::cli::terminal::list::List;
use crate::cli::terminal::output::{self, Format};
use crate::cli::terminal::table::{Cell, Column};
use crate::cli::terminal::values::{brings_back, count, size, time};

/// Prints the output of `registry gc --dry-run`.
pub(super) async fn print(
    registry: &Registry,
    retention: &Retention,
    format: Format,
) -> Result<(), Error> {
    let report = report::collection(registry).await?;
    as_list(&report, format)?.finish()?;
    let forecast = &report.forecast;
    if format == Format::Json {
        return Ok(());
    }
    let (due, later) = (forecast.due(), forecast.later());
    let until = later
        .last
        .map(|last| format!(", the last until {}", time(last)))
        .unwrap_or_default();
    output::say(&format!(
        "{} would be removed now; {} later{until}",
        summary(&due),
        summary(&later)
    ))?;
    match registry.trash().last_undo(retention).await? {
        Some(until) => output::say(&format!(
            "what was deleted is among that: {}",
            brings_back("registry restore", until)
        )),
        None => Ok(()),
    }
}

/// Lists what is removed, now and later.
pub(super) fn as_list(report: &CollectionReport, format: Format) -> Result<List, Error> {
    let columns = [
        Column::fixed("WHEN"),
        Column::name("WHAT"),
        Column::fixed("DIGEST"),
        Column::number("SIZE"),
        Column::text("WHY"),
    ];
    let mut list = List::object(format, &columns);
    let forecast = &report.forecast;
    list.field("now", &report.now())?;
    list.field("later", &report.later())?;
    list.next("removals")?;
    for removal in &forecast.removals {
        list.push(|| cells(removal, forecast), || report.removal(removal))?;
    }
    Ok(list)
}

fn cells(removal: &PlannedRemoval, forecast: &Forecast) -> Vec<Cell> {
    let when = if removal.at <= forecast.now {
        "now".into()
    } else {
        Cell::Time(removal.at)
    };
    let bytes = match removal.kind {
        RemovalKind::Tag => Cell::Empty,
        RemovalKind::Manifest | RemovalKind::Blob => Cell::Size(removal.size),
    };
    vec![
        when,
        what(removal).into(),
        Cell::from(&removal.digest),
        bytes,
        (&*removal.why).into(),
    ]
}

fn summary(share: &RemovalTotals) -> String {
    let RemovalTotals {
        tags,
        manifests,
        blobs,
        bytes,
        ..
    } = *share;
    format!(
        "{}, {} and {} with {}",
        count(tags, "tag"),
        count(manifests, "manifest"),
        count(blobs, "blob"),
        size(bytes)
    )
}

fn what(removal: &PlannedRemoval) -> String {
    match (&removal.repository, &removal.tag) {
        (Some(repository), Some(tag)) => format!("tag {repository}:{tag}"),
        (Some(repository), None) => format!("manifest of {repository}"),
        (None, _) => "blob".to_owned(),
    }
}

/// Returns the lines of distribution's `garbage-collect`, which scripts look for.
pub(super) fn classic_lines(forecast: &Forecast) -> String {
    let due = forecast.due();
    let marked = forecast.all.saturating_sub(due.blobs + due.manifests);
    let mut lines = format!(
        "{marked} blobs marked, {} blobs and {} manifests eligible for deletion\n",
        due.blobs, due.manifests
    );
    for removal in forecast
        .removals
        .iter()
        .filter(|removal| removal.at <= forecast.now)
    {
        lines += &match removal.kind {
            RemovalKind::Tag => format!(
                "tag eligible for deletion: {}\n",
                removal.tag.as_deref().unwrap_or_default()
            ),
            RemovalKind::Manifest => {
                format!("manifest eligible for deletion: {}\n", removal.digest)
            }
            RemovalKind::Blob => format!("blob eligible for deletion: {}\n", removal.digest),
        };
    }
    lines
}
