//! Presence of repositories in another registry.

/// Presence of a repository in another registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) enum Presence {
    There,
    Absent,
    /// Unknown: its list of tags was refused, and that was reported.
    Refused,
}
