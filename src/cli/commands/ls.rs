//! `registry ls`.

use std::io::{BufWriter, stdout};

use serde_json::json;
use tarkeep::oci::RepositoryName;
use tarkeep::registry::{self, Registry};

use crate::cli::error::Error;
use crate::cli::store::Store;
use crate::cli::terminal::output::{Format, JsonArray, Table, size, time, written};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// List the tags of this repository instead of the repositories
    repository: Option<String>,
    #[command(flatten)]
    store: Store,
    /// Output format: table, or JSON for scripts
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    output: Format,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let registry = arguments.store.open().await?;
    match arguments.repository {
        None => repositories(&registry, arguments.output).await,
        Some(name) => {
            let name =
                RepositoryName::parse(&name).map_err(|error| Error::Other(error.to_string()))?;
            tags(&registry, &name, arguments.output).await
        }
    }
}

async fn repositories(registry: &Registry, format: Format) -> Result<(), Error> {
    let mut out = BufWriter::new(stdout().lock());
    let mut table = Table::new(&["REPOSITORY", "TAGS", "MANIFESTS", "PUSHED"]);
    let mut array = JsonArray::new();
    let mut after = Some(String::new());
    while let Some(last) = after {
        let page = registry.repositories().list(last, None).await?;
        for row in page.items {
            if format == Format::Json {
                let value = json!({ "name": row.name, "tags": row.tags, "manifests": row.manifests, "pushed": time(row.pushed_at) });
                written(array.push(&mut out, &value))?;
            } else {
                table.row(vec![
                    row.name,
                    row.tags.to_string(),
                    row.manifests.to_string(),
                    time(row.pushed_at),
                ]);
            }
        }
        after = page.next;
    }
    written(if format == Format::Json {
        array.finish(&mut out)
    } else {
        table.print(&mut out)
    })
}

async fn tags(registry: &Registry, name: &RepositoryName, format: Format) -> Result<(), Error> {
    if registry
        .tags()
        .list(name, String::new(), Some(0))
        .await
        .is_err()
    {
        return Err(Error::Registry(registry::Error::NameUnknown(name.clone())));
    }
    let mut out = BufWriter::new(stdout().lock());
    let mut table = Table::new(&[
        "TAG",
        "SIZE",
        "PLATFORMS",
        "PUSHED",
        "PULLED",
        "CHECKED",
        "DIGEST",
    ]);
    let mut array = JsonArray::new();
    let mut after = Some(String::new());
    while let Some(last) = after {
        let page = registry.tags().list_detailed(name, last, None).await?;
        for row in page.items {
            let summary = match registry.manifests().summarise(name, &row.digest).await {
                // deleted since the page was read
                Err(registry::Error::ManifestUnknown { .. }) => continue,
                other => other?,
            };
            if format == Format::Json {
                let value = json!({
                    "tag": row.name, "digest": row.digest.as_str(), "mediaType": summary.media_type, "size": summary.size,
                    "platforms": summary.platforms, "pushed": time(row.updated_at),
                    "pulled": row.pulled_at.map(time), "pulls": row.pulls, "checked": row.checked_at.map(time),
                });
                written(array.push(&mut out, &value))?;
            } else {
                let [pulled, checked] =
                    [row.pulled_at, row.checked_at].map(|at| at.map_or("never".to_owned(), time));
                let platforms = summary.platforms.join(",");
                table.row(vec![
                    row.name,
                    size(summary.size),
                    platforms,
                    time(row.updated_at),
                    pulled,
                    checked,
                    row.digest.to_string(),
                ]);
            }
        }
        after = page.next;
    }
    written(if format == Format::Json {
        array.finish(&mut out)
    } else {
        table.print(&mut out)
    })
}
