//! Import: another registry's store becomes content of this one.
//!
//! A caller of the operations, like HTTP and the command line. `distribution` reads the files of `registry:2` and never changes
//! them, `transfer` turns them into pieces of content, and [`TakeOver`] does so for a store inside the data directory, before the
//! server answers its clients. Whatever is wrong with a store is named piece by piece ([`Damage`]) and stops nothing.

mod damage;
mod distribution;
mod error;
mod importer;
mod receiver;
mod report;
mod selection;
mod takeover;

pub use damage::Damage;
pub use distribution::store::DistributionStore;
pub use error::Error;
pub use importer::Importer;
pub use report::{ImportState, NewContent, Problem, Report};
pub use selection::{NameMap, Selection};
pub use takeover::{Rule, TakeOver};
