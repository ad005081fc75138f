//! `registry access`: what the access rules, and a token's own grant, let somebody do.

mod arguments;
mod check;
mod format;
mod known_token;
mod run;
mod show;
mod source;

pub(crate) use arguments::Arguments;
pub(crate) use run::run;
