//! Undo: the history of tags, and the trash.

pub(in crate::registry) mod history;
pub(in crate::registry) mod trash;
