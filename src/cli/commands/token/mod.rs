//! `registry token`: tokens of machines.

mod arguments;
mod changes;
mod list;
mod run;

pub(crate) use arguments::Arguments;
pub(crate) use run::run;
