//! Why a collection leaves something: what waits, for what, and until when.

use serde_json::{Value, json};
use tarkeep::registry::{Millis, Registry, Retention, StoreUsage, WaitCause, Waiting};

use crate::cli::error::Error;
use crate::cli::terminal::json;
use crate::cli::terminal::output;
use crate::cli::terminal::values::{brings_back, count, size, time};

/// Content that a collection leaves.
pub(super) struct Leftovers {
    waiting: Vec<Waiting>,
    /// Time until which the last deletion can be undone.
    undo: Option<Millis>,
    store: StoreUsage,
    /// True if a server collects what is due, without being asked.
    is_automatic: bool,
}

impl Leftovers {
    pub(super) async fn find(registry: &Registry, retention: &Retention) -> Result<Self, Error> {
        let reports = registry.reports();
        Ok(Self {
            waiting: reports.forecast(retention).await?.waiting(),
            undo: registry.trash().last_undo(retention).await?,
            store: reports.store_usage().await?,
            is_automatic: retention.enabled,
        })
    }

    /// Prints a sentence for each cause.
    pub(super) fn say(&self) -> Result<(), Error> {
        self.waiting
            .iter()
            .try_for_each(|waiting| output::say(&self.sentence(waiting)))?;
        let uploads = self.store.totals.uploads;
        if uploads > 0 {
            let (are, them) = match uploads {
                1 => ("is", "it"),
                _ => ("are", "them"),
            };
            output::say(&format!(
                "{} {are} in {}: registry uploads lists {them}",
                size(self.store.upload_bytes),
                count(uploads, "open upload")
            ))?;
        } else if self.waiting.is_empty() {
            output::say("nothing else waits to be removed: registry du shows what uses the space")?;
        }
        Ok(())
    }

    fn sentence(&self, waiting: &Waiting) -> String {
        let totals = waiting.totals;
        let what = match (totals.blobs, totals.manifests) {
            // their layers are needed elsewhere
            (0, 0) => count(totals.tags, "tag"),
            (0, manifests) => count(manifests, "manifest"),
            (blobs, _) => format!("{} in {}", size(totals.bytes), count(blobs, "blob")),
        };
        let wait = match totals.blobs.max(totals.manifests).max(totals.tags) {
            1 => "waits",
            _ => "wait",
        };
        let Some(last) = totals.last else {
            return format!(
                "{what} {}, because the rules keep untagged manifests forever (keepuntagged): registry rm REPOSITORY@DIGEST \
                 removes one",
                if wait == "waits" { "stays" } else { "stay" }
            );
        };
        let until = match self.is_automatic {
            true => format!("until {}", time(last)),
            false => format!("for the first registry gc after {}", time(last)),
        };
        let reason = match waiting.cause {
            WaitCause::Undo => return format!("{what} {wait} {until}, {}", self.undo_sentence()),
            WaitCause::Lease => "because a client may need it for a push (gc.lease)",
            WaitCause::Untagged => {
                "because untagged manifests are kept for a while (keepuntagged): registry rm REPOSITORY@DIGEST removes one now"
            }
            WaitCause::Rule => {
                "for rules about tags: registry policy preview shows what they decide"
            }
            WaitCause::Cache => {
                "for the limits of what is cached of upstreams, unless it is pulled: registry upstream ls shows them"
            }
        };
        format!("{what} {wait} {until}, {reason}")
    }

    /// Says how what was deleted comes back, and how it goes at once.
    fn undo_sentence(&self) -> String {
        match self.undo {
            Some(until) => format!(
                "for undo: {}; registry gc --now frees that now, and ends undo",
                brings_back("registry restore", until)
            ),
            None => {
                "because untagged manifests are kept for a while (keepuntagged): registry gc --now frees what was deleted now".to_owned()
            }
        }
    }

    /// The value of `waiting`.
    pub(super) fn waiting_json(&self) -> Value {
        let one = |waiting: &Waiting| {
            let totals = waiting.totals;
            json!({
                "cause": waiting.cause,
                "tagCount": totals.tags,
                "manifestCount": totals.manifests,
                "blobCount": totals.blobs,
                "size": totals.bytes,
                "until": totals.last.map(json::time),
                "undoUntil": self.undo.filter(|_| waiting.cause == WaitCause::Undo).map(json::time),
            })
        };
        self.waiting.iter().map(one).collect()
    }

    /// The value of `uploads`.
    pub(super) fn uploads_json(&self) -> Value {
        json!({ "count": self.store.totals.uploads, "size": self.store.upload_bytes })
    }
}
