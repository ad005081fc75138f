//! Output of `gc --dry-run` and `garbage-collect`: what would be removed.

use serde_json::{Value, json};
use tarkeep::registry::{
    Forecast, PlannedRemoval, Registry, RemovalKind, RemovalTotals, Retention,
};

use crate::cli::error::Error;
use crate::cli::terminal::json;
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
    let forecast = registry.reports().forecast(retention).await?;
    as_list(&forecast, format)?.finish()?;
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
pub(super) fn as_list(forecast: &Forecast, format: Format) -> Result<List, Error> {
    let columns = [
        Column::fixed("WHEN"),
        Column::name("WHAT"),
        Column::fixed("DIGEST"),
        Column::number("SIZE"),
        Column::text("WHY"),
    ];
    let mut list = List::object(format, &columns);
    list.field("now", &share(&forecast.due()))?;
    list.field("later", &share(&forecast.later()))?;
    list.next("removals")?;
    for removal in &forecast.removals {
        list.push(|| cells(removal, forecast), || as_json(removal, forecast))?;
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

fn as_json(removal: &PlannedRemoval, forecast: &Forecast) -> Value {
    json!({
        "kind": removal.kind,
        "repository": removal.repository,
        "tag": removal.tag,
        "digest": removal.digest.as_str(),
        "size": removal.size,
        "at": json::time(removal.at),
        "due": removal.at <= forecast.now,
        "reason": removal.why,
    })
}

fn share(share: &RemovalTotals) -> Value {
    json!({
        "tagCount": share.tags, "manifestCount": share.manifests, "blobCount": share.blobs, "size": share.bytes,
    })
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
