//! Completion in shells: `registry completions` prints a script, which asks `registry complete` for repositories and tags.

mod names;
mod script;

pub(crate) use names::{Arguments as Names, run as complete};
pub(crate) use script::{Arguments, run};
