//! `registry htpasswd`: Apache's `htpasswd`, with bcrypt only.
//!
//! Flags, messages and exit codes are those of httpd 2.4 (`support/htpasswd.c`), so that scripts keep working.

mod arguments;
mod end;
mod file;
mod outcome;
mod password;
mod task;

pub(crate) use arguments::{Alone, Arguments, with_flags_ended};
pub(crate) use task::run;
