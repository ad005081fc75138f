//! Undo of a deletion: the commands, and until when.

use serde_json::{Value, json};
use tarkeep::registry::{Deletion, Millis, Retention, now};

use crate::cli::terminal::json;
use crate::cli::terminal::selection::Selection;
use crate::cli::terminal::values;

/// Maximum number of commands that a sentence names.
const NAMED: usize = 3;

/// Returns the time until which a change of now can surely be undone; `None` without a grace period.
pub(super) fn until(retention: &Retention) -> Option<Millis> {
    let grace = Millis::try_from(retention.grace.as_millis()).unwrap_or(Millis::MAX);
    (grace > 0).then(|| now().saturating_add(grace))
}

/// The undo of a deletion.
pub(super) struct Undo {
    /// One for each repository.
    commands: Vec<String>,
    until: Millis,
}

impl Undo {
    /// Returns the undo of a deletion that happens now, with the flags that name the store; `None` without a grace period.
    pub(super) fn of(selection: &Selection, flags: &str, retention: &Retention) -> Option<Self> {
        let commands = selection.deletions.iter().map(|(name, deletion)| {
            let part = match deletion {
                Deletion::Manifest(digest) => format!("@{digest}"),
                Deletion::Tags(tags) if tags.len() == 1 => format!(":{}", tags[0]),
                Deletion::Everything | Deletion::Tags(_) => String::new(),
            };
            format!("registry restore {name}{part}{flags}")
        });
        Some(Self {
            commands: commands.collect(),
            until: until(retention)?,
        })
    }

    /// Says how what was deleted comes back.
    pub(super) fn sentence(&self) -> String {
        let (few, more) = self.commands.split_at(self.commands.len().min(NAMED));
        let more = match more.len() {
            0 => String::new(),
            more => format!("; registry restore lists the other {more}"),
        };
        values::brings_back(&few.join(" && "), self.until) + &more
    }

    pub(super) fn as_json(&self) -> Value {
        json!({ "commands": self.commands, "until": json::time(self.until) })
    }
}
