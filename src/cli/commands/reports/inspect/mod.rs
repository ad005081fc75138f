//! `registry inspect`.

mod object;
mod run;
mod text;

pub(crate) use run::{Arguments, run};
