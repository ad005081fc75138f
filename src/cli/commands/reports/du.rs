//! `registry du`: disk usage by repository and tag.

use std::sync::Arc;

use serde_json::{Value, json};
use tarkeep::oci::RepositoryName;
use tarkeep::registry::{self, ListQuery, Registry, TagKey};
use tarkeep::report::{self, Viewer};

use crate::cli::commands::reports::du_elsewhere;
use crate::cli::commands::reports::usage_tables::{
    REPOSITORY_COLUMNS, cells, print_store, say_totals, tag_cells, tag_columns,
};
use crate::cli::error::Error;
use crate::cli::place::Place;
use crate::cli::terminal::keys;
use crate::cli::terminal::list::List;
use crate::cli::terminal::listing::{Listed, Selection, Sort, nothing_has};
use crate::cli::terminal::output::{Format, Output};
use crate::cli::terminal::reference::{self, Reference};
use crate::cli::terminal::removed;

/// Maximum number of tags whose usage is computed at once.
const BATCH: usize = 200;

/// Show disk usage by repository or tag, and what is shared
///
/// Sizes are those of blobs on disk. SIZE counts each blob once, LOGICAL counts every image in full, and EXCLUSIVE counts only
/// blobs that nothing else uses: deleting the repository or tag frees that much after garbage collection. To see how much disk
/// space a deletion frees, and when, run registry rm --dry-run.
#[derive(clap::Args)]
#[command(after_help = keys::DU)]
pub(crate) struct Arguments {
    /// Repository whose tags are shown, or a quoted glob: 'team/*' for repositories, 'team/*:pr-*' for tags [default: all
    /// repositories, and the store]
    #[arg(value_name = "REPOSITORY[:TAG]")]
    reference: Option<String>,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let Arguments {
        reference,
        selection,
        place,
        output: Output { format },
    } = arguments;
    let reference = reference.as_deref().map(Reference::parse).transpose()?;
    if let Some(remote) = place.server()? {
        return du_elsewhere::run(&remote, reference, &selection, format).await;
    }
    let registry = place.store.open().await?;
    let Some(reference) = reference else {
        let listed = selection.of(None, Sort::Size, &registry, "du").await?;
        let Listed::Repositories(query) = listed else {
            return Ok(());
        };
        return whole(&registry, query, format).await;
    };
    let named = reference.resolve(&registry, "du").await?;
    let (text, one_tag) = (named.text.clone(), named.one_tag());
    let listed = selection.of(Some(named), Sort::Size, &registry, "du").await;
    match removed::explained(&registry, listed).await? {
        Listed::Repositories(query) => {
            let mut list = List::begin(format, "repositories", &REPOSITORY_COLUMNS)?;
            push_repositories(&registry, query, &mut list).await?;
            list.field("store", &Value::Null)?;
            list.finish()
        }
        Listed::Tags(names, query) => {
            let must_match = query.pattern.is_some() && query.since.is_none();
            let keys = registry.tags().find(names.clone(), query).await?.items;
            if keys.is_empty() && must_match {
                return removed::explained(&registry, Err(nothing_has(one_tag, &text))).await;
            }
            tags(&registry, &names, keys, format).await
        }
    }
}

async fn whole(registry: &Registry, query: ListQuery, format: Format) -> Result<(), Error> {
    let mut list = List::begin(format, "repositories", &REPOSITORY_COLUMNS)?;
    push_repositories(registry, query, &mut list).await?;
    let store = report::store(registry).await?.item();
    list.field("store", &json!(store))?;
    list.finish()?;
    match format {
        Format::Json => Ok(()),
        Format::Text => print_store(&store),
    }
}

async fn push_repositories(
    registry: &Registry,
    query: ListQuery,
    list: &mut List,
) -> Result<(), Error> {
    for row in registry.repositories().find(query).await?.items {
        let name = reference::repository(&row.name)?;
        match report::usage(registry, &name, &Viewer::owner()).await {
            // removed since the row was read
            Err(registry::Error::NameUnknown(_)) => {}
            usage => {
                let usage = usage?;
                list.push(|| cells(&usage), || json!(usage))?;
            }
        }
    }
    Ok(())
}

async fn tags(
    registry: &Registry,
    names: &[RepositoryName],
    keys: Vec<TagKey>,
    format: Format,
) -> Result<(), Error> {
    let retention = registry.settings().retention.clone();
    let baseline = Arc::new(registry.reports().baseline(names, &retention).await?);
    let mut usages = Vec::new();
    let owner = Viewer::owner();
    for name in names {
        usages.push(report::usage(registry, name, &owner).await?);
    }
    let is_one = names.len() == 1;
    let mut list = List::object(format, &tag_columns(is_one));
    list.field("repositories", &json!(usages))?;
    list.next("tags")?;
    for keys in keys.chunks(BATCH) {
        for usage in report::tag_usage(registry, keys.to_vec(), &baseline, &owner).await? {
            list.push(|| tag_cells(&usage, is_one), || json!(usage))?;
        }
    }
    list.finish()?;
    match format {
        Format::Json => Ok(()),
        Format::Text => say_totals(&usages),
    }
}
