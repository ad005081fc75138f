//! Output of `gc --dry-run` and `garbage-collect`: what would be removed.

use std::io::stdout;

use serde_json::{Value, json};
use tarkeep::registry::{Doomed, Forecast, Kind, Registry, Retention, Share};

use crate::cli::error::Error;
use crate::cli::terminal::output::{self, Format, Table, count, size, time, written};

/// Prints the output of `registry gc --dry-run`.
pub(super) async fn print(
    registry: &Registry,
    retention: &Retention,
    output: Format,
) -> Result<(), Error> {
    let forecast = registry.forecast(retention).await?;
    match output {
        Format::Json => output::print(format!("{:#}\n", as_json(&forecast)).as_bytes()),
        Format::Table => {
            let mut table = Table::new(&["WHEN", "WHAT", "DIGEST", "SIZE", "WHY"]);
            for doomed in &forecast.doomed {
                let when = if doomed.at <= forecast.now {
                    "now".to_owned()
                } else {
                    time(doomed.at)
                };
                table.row(vec![
                    when,
                    what(doomed),
                    doomed.digest.to_string(),
                    size(doomed.size),
                    doomed.why.clone(),
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

fn summary(share: &Share) -> String {
    let Share {
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

fn what(doomed: &Doomed) -> String {
    match (&doomed.repository, &doomed.tag) {
        (Some(repository), Some(tag)) => format!("tag {repository}:{tag}"),
        (Some(repository), None) => format!("manifest of {repository}"),
        (None, _) => "blob".to_owned(),
    }
}

fn as_json(forecast: &Forecast) -> Value {
    let items = forecast.doomed.iter().map(|doomed| {
        json!({
            "kind": doomed.kind,
            "repository": doomed.repository,
            "tag": doomed.tag,
            "digest": doomed.digest.as_str(),
            "size": doomed.size,
            "at": time(doomed.at),
            "due": doomed.at <= forecast.now,
            "why": doomed.why,
        })
    });
    let share = |Share {
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
    for doomed in forecast
        .doomed
        .iter()
        .filter(|doomed| doomed.at <= forecast.now)
    {
        lines += &match doomed.kind {
            Kind::Tag => format!(
                "tag eligible for deletion: {}\n",
                doomed.tag.as_deref().unwrap_or_default()
            ),
            Kind::Manifest => format!("manifest eligible for deletion: {}\n", doomed.digest),
            Kind::Blob => format!("blob eligible for deletion: {}\n", doomed.digest),
        };
    }
    lines
}
