//! `registry complete`: names that begin with a word, for completion scripts.

use std::ops::ControlFlow;

use tarkeep::registry::{Registry, Visibility};

use crate::cli::error::Error;
use crate::cli::store::Store;
use crate::cli::terminal::output;
use crate::cli::terminal::reference;

/// Maximum number of names: nobody reads more.
const LIMIT: usize = 500;

/// Print repositories, or tags of REPOSITORY:, that begin with a word
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(default_value = "", hide_default_value = true)]
    word: String,
    #[command(flatten)]
    store: Store,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    let registry = arguments.store.open().await?;
    let names = match arguments.word.rsplit_once(':') {
        Some((repository, tag)) => tags(&registry, repository, tag).await?,
        None => repositories(&registry, &arguments.word).await?,
    };
    output::print(&names.concat())
}

async fn repositories(registry: &Registry, start: &str) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    let mut after = Some(before(start));
    while let Some(last) = after.take() {
        let page = registry
            .repositories()
            .catalog(Visibility::All, last, None)
            .await?;
        if take(&page.items, start, |name| format!("{name}\n"), &mut found).is_continue() {
            after = page.next;
        }
    }
    Ok(found)
}

async fn tags(registry: &Registry, repository: &str, start: &str) -> Result<Vec<String>, Error> {
    let name = reference::repository(repository)?;
    let mut found = Vec::new();
    let mut after = Some(before(start));
    while let Some(last) = after.take() {
        let page = registry.tags().list(&name, last, None).await?;
        let line = |tag: &str| format!("{repository}:{tag}\n");
        if take(&page.items, start, line, &mut found).is_continue() {
            after = page.next;
        }
    }
    Ok(found)
}

/// Returns a text that is sorted before everything that begins with `start`.
fn before(start: &str) -> String {
    let mut text = start.to_owned();
    text.pop();
    text
}

/// Adds the names of a sorted page that begin with `start`; breaks after the last of them.
fn take(
    page: &[String],
    start: &str,
    line: impl Fn(&str) -> String,
    found: &mut Vec<String>,
) -> ControlFlow<()> {
    for name in page {
        if name.starts_with(start) {
            found.push(line(name));
        }
        let is_past = !name.starts_with(start) && name.as_str() > start;
        if is_past || found.len() >= LIMIT {
            return ControlFlow::Break(());
        }
    }
    ControlFlow::Continue(())
}
