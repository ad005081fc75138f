//! `registry du` at a server.

use serde_json::{Value, json};
use tarkeep::remote::Remote;
use tarkeep::report::{StoreItem, TagUsageItem, UsageItem};

use crate::cli::commands::reports::usage_tables::{
    REPOSITORY_COLUMNS, cells, print_store, say_totals, tag_cells, tag_columns,
};
use crate::cli::error::Error;
use crate::cli::place::{RemoteList, failed};
use crate::cli::terminal::list::List;
use crate::cli::terminal::listing::Selection;
use crate::cli::terminal::output::Format;
use crate::cli::terminal::reference::{Names, Reference};

/// Shows the usage of what a reference names, or of everything.
///
/// # Errors
/// A reference to tags of several repositories, and those of the server.
pub(super) async fn run(
    remote: &Remote,
    reference: Option<Reference>,
    selection: &Selection,
    format: Format,
) -> Result<(), Error> {
    let mut parameters = selection.parameters()?;
    let Some(reference) = reference else {
        return repositories(remote, parameters, selection, format).await;
    };
    let named = reference.elsewhere("du")?;
    let text = named.text.clone();
    match named.tags("du")? {
        (Names::Matching(glob), None) => {
            parameters.push(("repositories", glob.to_string()));
            repositories(remote, parameters, selection, format).await
        }
        (Names::One(name), tags) => {
            parameters.extend(tags.map(|tags| ("tags", tags.to_string())));
            let mut list = RemoteList::new(remote, format!("usage/{name}"), "tags");
            (list.parameters, list.limit) = (parameters, selection.limit());
            show_tags(&list, format).await
        }
        (Names::Matching(_), Some(_)) => Err(Error::Other(format!(
            "a server tells the usage of tags of one repository, and '{text}' is a glob: registry ls '{text}' lists what it matches"
        ))),
    }
}

/// Returns an object that stands beside a list.
async fn beside(asked: &RemoteList<'_>, key: &str) -> Result<Value, Error> {
    let mut parameters = asked.parameters.clone();
    parameters.push(("n", "1".to_owned()));
    let page = asked.remote.get::<Value>(&asked.path, &parameters).await;
    Ok(page.map_err(failed)?.body[key].take())
}

async fn repositories(
    remote: &Remote,
    parameters: Vec<(&'static str, String)>,
    selection: &Selection,
    format: Format,
) -> Result<(), Error> {
    let mut asked = RemoteList::new(remote, "usage", "repositories");
    (asked.parameters, asked.limit) = (parameters, selection.limit());
    let mut list = List::begin(format, "repositories", &REPOSITORY_COLUMNS)?;
    let push = |item: UsageItem| list.push(|| cells(&item), || json!(item));
    asked.each(push).await?;
    let store: Option<StoreItem> = read(beside(&asked, "store").await?)?;
    list.field("store", &json!(store))?;
    list.finish()?;
    match (format, store) {
        (Format::Text, Some(store)) => print_store(&store),
        _ => Ok(()),
    }
}

async fn show_tags(asked: &RemoteList<'_>, format: Format) -> Result<(), Error> {
    let usages: Vec<UsageItem> = read(beside(asked, "repositories").await?)?;
    let mut list = List::object(format, &tag_columns(true));
    list.field("repositories", &json!(usages))?;
    list.next("tags")?;
    let push = |item: TagUsageItem| list.push(|| tag_cells(&item, true), || json!(item));
    asked.each(push).await?;
    list.finish()?;
    match format {
        Format::Json => Ok(()),
        Format::Text => say_totals(&usages),
    }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Error> {
    serde_json::from_value(value)
        .map_err(|error| Error::Other(format!("the server's answer is broken: {error}")))
}
