//! `registry mirror-config`: files that lead clients to the upstreams of this registry.

mod files;
mod mirrored;
mod run;

pub(crate) use run::{Arguments, run};
