//! `registry upstream`: the registries whose content is cached here.

mod adoption;
mod arguments;
mod keep;
mod ls;
mod run;
mod sync;

pub(crate) use arguments::Arguments;
pub(crate) use run::run;
