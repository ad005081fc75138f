//! `registry token`: tokens of machines.

mod arguments;
mod changes;
mod list;

pub(crate) use arguments::{Arguments, run};
