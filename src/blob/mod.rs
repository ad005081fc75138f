//! The blob store: immutable content named by its digest, and the files of uploads on their way there.
//!
//! ```text
//! <root>/blobs/sha256/ab/<64 hex>   whole blobs, mode 0400, never changed once they have this name
//! <root>/uploads/<uuid>             bytes received so far of an open upload, mode 0600
//! ```
//!
//! The only module that knows a path of either; callers see a [`BlobContent`] and an [`UploadFile`]. It knows nothing of
//! repositories or of the database: the metadata decides which blobs ought to exist. Two rules tie it to the metadata's
//! transactions:
//!
//! - [`BlobStore::publish`] gives an upload its blob's name by a second *link*, inside the write transaction that
//!   records the blob; the upload's own name is removed after the commit. A crash in between leaves a file with two
//!   names, which [`BlobStore::upload_files`] finds without walking the store.
//!   Where files have no second names, a note takes the place of the upload's own ([`BlobStore::unpublish`] undoes both).
//! - [`BlobStore::sync_published`] runs before every commit and makes the new names durable.
//!
//! Everything here blocks. Reading, writing, syncing or removing much belongs on blocking threads; opening an upload's
//! file and asking for its length are short enough for callers to do in place.

mod content;
mod copies;
mod emergency_space;
mod file;
mod growth;
mod hasher;
mod inventory;
mod names;
mod naming;
mod source;
mod space;
mod stats;
mod store;
mod traffic;
mod upload;
mod uploads;
mod verification;

pub use content::BlobContent;
pub use copies::copier::{BlobCopier, CopyCounts, CopyPace, Loss};
pub use copies::vouched::Vouched;
pub use emergency_space::EmergencySpace;
pub use file::BlobFile;
pub use growth::GrowingBlob;
pub use hasher::Hasher;
pub use inventory::{Shard, ShardFiles, StoredFile};
pub use naming::HardLinks;
pub use source::SourceFile;
pub use space::{FreeSpace, Shortage};
pub use stats::{Operation, Stats};
pub use store::{BlobStore, Company, DirectoryLock, FileFault, KeptOpen};
pub use upload::{UploadFile, UploadId};
pub use verification::{BlobHash, Priority, is_disk_failure};
