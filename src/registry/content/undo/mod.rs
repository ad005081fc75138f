//! Undo: the history of tags, going back in it, and the trash.

pub(in crate::registry) mod history;
pub(in crate::registry) mod removal;
pub(in crate::registry) mod tag_restore;
pub(in crate::registry) mod trash;
mod undo_end;
