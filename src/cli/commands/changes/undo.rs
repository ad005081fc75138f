//! Undo of a deletion, for people.

use tarkeep::report::UndoItem;

use crate::cli::terminal::values;

/// Maximum number of commands that a sentence names.
const NAMED: usize = 3;

/// Says how what was deleted comes back.
pub(super) fn sentence(undo: &UndoItem) -> String {
    let (few, more) = undo.commands.split_at(undo.commands.len().min(NAMED));
    let more = match more.len() {
        0 => String::new(),
        more => format!("; registry restore lists the other {more}"),
    };
    values::brings_back(&few.join(" && "), undo.until.0) + &more
}
