//! Results, with Apache's messages or as JSON.

use serde_json::json;

use crate::cli::error::Error;
use crate::cli::terminal::json;
use crate::cli::terminal::output::{complain, print_raw};

/// Result for a user.
pub(super) enum Outcome {
    /// A line `USER:HASH` for a file.
    Printed(Vec<u8>),
    Added,
    Updated,
    Deleted,
    Absent,
    Correct,
}

impl Outcome {
    /// Says it as Apache's command does, on standard error.
    pub(super) fn say(&self, user: &str) -> Result<(), Error> {
        match self {
            // with an empty line after it, as Apache's
            Self::Printed(line) => return print_raw(&[line, &b"\n"[..]].concat()),
            Self::Added => complain(&format!("Adding password for user {user}")),
            Self::Updated => complain(&format!("Updating password for user {user}")),
            Self::Deleted => complain(&format!("Deleting password for user {user}")),
            Self::Absent => complain(&format!("User {user} not found")),
            Self::Correct => complain(&format!("Password for user {user} correct.")),
        }
        Ok(())
    }

    /// Prints it as JSON.
    pub(super) fn print(&self, user: &str) -> Result<(), Error> {
        let (outcome, entry) = match self {
            Self::Printed(entry) => ("printed", Some(String::from_utf8_lossy(entry.trim_ascii()))),
            Self::Added => ("added", None),
            Self::Updated => ("updated", None),
            Self::Deleted => ("deleted", None),
            Self::Absent => ("absent", None),
            Self::Correct => ("correct", None),
        };
        json::print(&json!({ "user": user, "outcome": outcome, "entry": entry }))
    }
}
