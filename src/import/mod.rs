//! Import: another registry's store becomes content of this one.
//!
//! A caller of the operations, like HTTP and the command line. `distribution` reads the files of `registry:2`, `archive` image
//! layouts and archives, and `remote` asks a registry that is running; none changes them. A receiver gets the pieces: that of a [`TakeOver`], of a store inside the data
//! directory, before the server answers its clients, or that of an [`Importer`], beside a running server. Whatever is wrong with a store is named piece by piece ([`Damage`]) and stops nothing.

mod adopter;
mod archive;
mod claims;
mod collisions;
mod damage;
mod distribution;
mod error;
mod files;
mod importer;
mod importing;
mod receiver;
mod remote;
mod report;
mod selection;
mod source;
mod sync_walk;
mod syncer;
mod takeover;
mod trouble;
mod waiter;
mod walk;
mod walked;

pub use adopter::Adopter;
pub use archive::{ArchiveText, Place, archive_texts};
pub use collisions::Collision;
pub use damage::Damage;
pub use distribution::store::DistributionStore;
pub use error::Error;
pub use importer::Importer;
pub use remote::RemoteRegistry;
pub use report::{Healed, ImportState, MovedTag, NewContent, Problem, Report, Unmatched};
pub use selection::{NameMap, Selection};
pub use source::Source;
pub use syncer::{SyncEnded, SyncOutcome, Syncer};
pub use takeover::{Rule, TakeOver};
pub use walked::WalkedRegistry;
