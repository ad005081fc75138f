//! Export: content of this registry becomes an image layout (OCI image-spec 1.1), which other tools and registries read.
//!
//! A caller of the operations, like HTTP and the command line. [`Plan`] finds out what belongs to the chosen images, and
//! [`write()`] copies it to a directory, an archive or standard output, while leases keep it from collection. A directory or an
//! archive gets its name when it is complete.

mod archive;
mod chosen;
mod destination;
mod docker;
mod earlier;
mod error;
mod index;
mod layout_writer;
mod plan;
mod platform;
mod run;
mod spool;
mod staging;

pub use chosen::{ChosenImage, Companions, ExportOptions, LoadableBy};
pub use destination::Destination;
pub use earlier::EarlierExport;
pub use error::Error;
pub use plan::{AbsentChild, Amount, EntryKind, Plan, PlannedEntry};
pub use run::{Watcher, write};
