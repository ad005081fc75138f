//! Output of `gc --dry-run` and `garbage-collect`: what would be removed.

use std::io::stdout;

use serde_json::{Value, json};
use tarkeep::registry::{
    Forecast, PlannedRemoval, Registry, RemovalKind, RemovalTotals, Retention,
};

use crate::cli::error::Error;
use crate::cli::terminal::output::{self, Format, Table, count, size, time, written};

/// Prints the output of `registry gc --dry-run`.
pub(super) async fn print(
    registry: &Registry,
    retention: &Retention,
    output: Format,
) -> Result<(), Error> {
    let forecast = registry.reports().forecast(retention).await?;
    match output {
        Format::Json => output::print(format!("{:#}\n", as_json(&forecast)).as_bytes()),
        Format::Table => {
            let mut table = Table::new(&["WHEN", "WHAT", "DIGEST", "SIZE", "WHY"]);
            for removal in &forecast.removals {
                let when = if removal.at <= forecast.now {
                    "now".to_owned()
                } else {
                    time(removal.at)
                };
                table.row(vec![
                    when,
                    what(removal),
                    removal.digest.to_string(),
                    size(removal.size),
                    removal.why.clone(),
                ]);
            }
            written(table.print(&mut stdout().lock()))?;
            let (due, later) = (forecast.due(), forecast.later());
            let until = later
                .last
                .map(|last| format!(", the last until {}", time(last)))
                .unwrap_or_default();
            output::print(
                format!(
                    "{} would be removed now; {} later{until}\n",
                    summary(&due),
                    summary(&later)
                )
                .as_bytes(),
            )
        }
    }
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

fn as_json(forecast: &Forecast) -> Value {
    let items = forecast.removals.iter().map(|removal| {
        json!({
            "kind": removal.kind,
            "repository": removal.repository,
            "tag": removal.tag,
            "digest": removal.digest.as_str(),
            "size": removal.size,
            "at": time(removal.at),
            "due": removal.at <= forecast.now,
            "why": removal.why,
        })
    });
    let share = |RemovalTotals {
                     tags,
                     manifests,
                     blobs,
                     bytes,
                     ..
                 }| json!({ "tags": tags, "manifests": manifests, "blobs": blobs, "bytes": bytes });
    json!({ "items": items.collect::<Vec<_>>(), "now": share(forecast.due()), "later": share(forecast.later()) })
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
