//! The changes of tags that access rules allow.

use std::fmt;

/// Changes of tags that the actor of a push may make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TagChanges {
    /// Create tags, and move those that exist.
    #[default]
    All,
    /// Create tags.
    Creations,
    /// Move tags that exist.
    Moves,
}

/// Formats the verb: `you may not move tag 1 of team/app`.
impl fmt::Display for TagChanges {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::All => "create or move",
            Self::Creations => "create",
            Self::Moves => "move",
        })
    }
}
