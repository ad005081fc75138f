//! `registry gc --now`: frees at once what was deleted, and ends its undo.

use serde_json::{Value, json};
use tarkeep::oci::Glob;
use tarkeep::registry::{DeletedContent, DeletedForecast, EndingUndo, Registry, Retention};

use crate::cli::actor;
use crate::cli::error::Error;
use crate::cli::terminal::list::List;
use crate::cli::terminal::output::{self, Format};
use crate::cli::terminal::reference::Reference;
use crate::cli::terminal::table::{Cell, Column};
use crate::cli::terminal::values::{count, size};

/// Deleted content that is to go, and what that frees.
pub(super) struct DeletedPlan {
    pub content: DeletedContent,
    forecast: DeletedForecast,
}

impl DeletedPlan {
    /// Finds what was deleted in the repositories that are meant, all if none is named.
    pub(super) async fn find(
        registry: &Registry,
        retention: &Retention,
        references: &[String],
    ) -> Result<Self, Error> {
        let mut globs: Vec<Glob> = Vec::with_capacity(references.len());
        for reference in references {
            let named = Reference::parse(reference)?
                .resolve(registry, "gc --now")
                .await?;
            globs.push(named.whole("gc --now")?);
        }
        let content = DeletedContent {
            repositories: (!globs.is_empty()).then_some(globs),
            actor: actor::local_user(),
        };
        let forecast = registry
            .reports()
            .forecast_deleted(content.clone(), retention)
            .await?;
        Ok(Self { content, forecast })
    }

    /// True if nothing that was deleted is left.
    pub(super) fn is_empty(&self) -> bool {
        self.forecast.repositories.is_empty() && self.forecast.removals.blobs == 0
    }

    /// Lists the images whose undo ends, and says what goes.
    pub(super) fn show(&self) -> Result<(), Error> {
        let columns = [
            Column::name("REPOSITORY"),
            Column::name("TAGS"),
            Column::fixed("DIGEST"),
            Column::number("SIZE"),
            Column::text("WHY"),
        ];
        let mut list = List::begin(Format::Text, "items", &columns)?;
        for item in &self.forecast.items {
            let cells = || {
                vec![
                    (&*item.repository).into(),
                    item.tags.join(",").into(),
                    Cell::from(&item.digest),
                    Cell::Size(item.size),
                    kind(item).into(),
                ]
            };
            list.push(cells, || Value::Null)?;
        }
        list.finish()?;
        let removals = self.forecast.removals;
        output::say(&format!(
            "frees {} in {} at once; ends the undo of {}",
            size(removals.bytes),
            count(removals.blobs, "blob"),
            self.undone(),
        ))
    }

    /// Counts what can no longer be restored: `2 deleted manifests and 1 untagged image`.
    fn undone(&self) -> String {
        let items = &self.forecast.items;
        let untagged = items.iter().filter(|item| item.is_untagged).count();
        let deleted = count((items.len() - untagged) as u64, "deleted manifest");
        match (items.len(), untagged) {
            (_, 0) => deleted,
            (all, untagged) if all == untagged => count(untagged as u64, "untagged image"),
            (_, untagged) => format!("{deleted} and {}", count(untagged as u64, "untagged image")),
        }
    }

    /// The question before it goes.
    pub(super) fn question(&self) -> String {
        format!(
            "free {} and end the undo of {}, for good?",
            size(self.forecast.removals.bytes),
            self.undone(),
        )
    }

    /// The object of a dry run.
    pub(super) fn as_json(&self) -> Value {
        let repositories: Vec<_> = self
            .forecast
            .repositories
            .iter()
            .map(|(name, manifests)| json!({ "repository": name, "manifestCount": manifests }))
            .collect();
        let items = self.forecast.items.iter().map(|item| {
            json!({
                "repository": item.repository, "digest": item.digest.as_str(), "tags": item.tags, "size": item.size,
                "kind": kind(item),
            })
        });
        let removals = self.forecast.removals;
        json!({
            "repositories": repositories,
            "items": items.collect::<Vec<_>>(),
            "undoEndedCount": self.forecast.undo_ended(),
            "frees": { "size": removals.bytes, "blobCount": removals.blobs },
        })
    }
}

/// Says why an item goes: it was deleted, or only its tags were.
fn kind(item: &EndingUndo) -> &'static str {
    match item.is_untagged {
        true => "untagged",
        false => "deleted",
    }
}
