//! Backups: data directories that hold what this one held at one time.
//!
//! A caller of the operations, like HTTP and the command line. A backup is complete before it counts, and one that is
//! interrupted leaves the one before whole:
//!
//! ```text
//! DEST/registry.db, blobs/…      `registry backup DEST`: blobs are added, then the database is replaced by one rename, then blobs
//!                                that it does not list are removed
//! TO/2026-11-28T03-00-00Z/…      `backup.to`: made as TO/partial, with hard links to the blobs of the one before, and renamed
//! TO/latest                      symbolic link to the newest of them
//! ```
//!
//! Most blobs are copied while the server works and collects. Then collection is kept from removing files, the database is
//! copied, and whatever it lists and is not there yet: seconds, however long the rest took.

mod copies;
mod directory;
mod error;
mod generations;
mod listed;
mod outcome;
mod place;
mod run;
mod schedule;

pub use error::Error;
pub use outcome::{BackupPlan, BackupProgress, BackupSummary, DamagedContent, DamagedKind};
pub use place::Destination;
pub use run::{plan, run};
pub use schedule::keep_going;
