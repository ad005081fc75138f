//! Restored content, as `restore` tells of it.

use tarkeep::report::{self, RemovalItem, RestoredItem};

use crate::cli::commands::changes::later;
use crate::cli::error::Error;
use crate::cli::terminal::json;
use crate::cli::terminal::output::{self, Format};
use crate::cli::terminal::values::{count, plain};

/// Restored items: said one by one, or kept to be printed as JSON.
#[derive(Default)]
pub(super) struct Shown {
    json: Option<Vec<RestoredItem>>,
}

impl Shown {
    pub(super) fn new(format: Format) -> Self {
        Self {
            json: (format == Format::Json).then(Vec::new),
        }
    }

    /// Adds an item.
    pub(super) fn add(&mut self, item: RestoredItem) -> Result<(), Error> {
        match &mut self.json {
            Some(items) => {
                items.push(item);
                Ok(())
            }
            None => output::say(&sentence(&item)),
        }
    }

    /// Says which restored tags a rule removes later; prints everything if it is to be JSON, unless nothing was restored.
    pub(super) fn finish(self, removals: &[RemovalItem]) -> Result<(), Error> {
        match self.json {
            Some(items) if items.is_empty() => Ok(()),
            Some(items) => json::print(&report::restored_json(&items, removals)),
            None => later::say(removals),
        }
    }
}

fn sentence(item: &RestoredItem) -> String {
    let RestoredItem {
        kind,
        repository,
        digest,
        child_count,
        tags,
    } = item;
    if kind == "tag" {
        let tags = tags.join(", ");
        return format!("restored tag {tags} in {repository}, which points at {digest}");
    }
    let children = format!("its {}", count(*child_count, "child manifest"));
    let noun = if tags.len() == 1 { "tag" } else { "tags" };
    let names = format!("{noun} {}", tags.join(", "));
    let with = match (child_count, tags.len()) {
        (0, 0) => String::new(),
        (0, _) => format!(" with {names}"),
        (_, 0) => format!(" with {children}"),
        (_, _) => format!(" with {children} and {names}"),
    };
    format!("restored {digest} in {repository}{}", plain(&with))
}
