//! `registry gc --now`: frees at once what was deleted, and ends its undo.

use serde_json::{Value, json};
use tarkeep::oci::Glob;
use tarkeep::registry::{DeletedContent, DeletedForecast, Registry, Retention};

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

    /// Lists the repositories, and says what goes.
    pub(super) fn show(&self) -> Result<(), Error> {
        let columns = [
            Column::name("REPOSITORY"),
            Column::number("DELETED MANIFESTS"),
        ];
        let mut list = List::begin(Format::Text, "repositories", &columns)?;
        for (repository, manifests) in &self.forecast.repositories {
            let cells = || vec![(&**repository).into(), Cell::Count(*manifests)];
            list.push(cells, || Value::Null)?;
        }
        list.finish()?;
        let (removals, undone) = (self.forecast.removals, self.forecast.undo_ended());
        output::say(&format!(
            "frees {} in {} at once; ends the undo of {}",
            size(removals.bytes),
            count(removals.blobs, "blob"),
            count(undone, "deleted manifest"),
        ))
    }

    /// The question before it goes.
    pub(super) fn question(&self) -> String {
        format!(
            "free {} and end the undo of {}, for good?",
            size(self.forecast.removals.bytes),
            count(self.forecast.undo_ended(), "deleted manifest"),
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
        let removals = self.forecast.removals;
        json!({
            "repositories": repositories,
            "undoEndedCount": self.forecast.undo_ended(),
            "frees": { "size": removals.bytes, "blobCount": removals.blobs },
        })
    }
}
