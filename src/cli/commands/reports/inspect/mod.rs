//! `registry inspect`.

mod run;
mod text;

pub(crate) use run::{Arguments, run};
