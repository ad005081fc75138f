//! `registry webhook`: what endpoints were told, and telling them again.

mod arguments;
mod deliveries;
mod ls;
mod resend;
mod run;
mod test;

pub(crate) use arguments::Arguments;
pub(crate) use run::run;
