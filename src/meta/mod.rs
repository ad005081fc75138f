//! Metadata: every fact of the registry but the bytes of its blobs, in one SQLite file.
//!
//! The only module that knows SQL; no type of rusqlite leaves it. Reads ([`Meta::read`]) see the last commit and never
//! wait for a write. Changes are closures over a [`WriteTx`], handed to [`Meta::write`], which runs many of them in one
//! durable commit.

mod actor;
mod blobs;
mod clock;
mod connection;
mod error;
mod holding;
mod listings;
mod manifest_cache;
mod manifests;
mod pulls;
mod reader;
mod repositories;
mod settings;
mod stats;
mod store;
mod sweep;
mod tags;
mod trash;
mod uploads;
mod usage;
mod writer;

pub use actor::Actor;
pub use blobs::{BlobRow, LinkRow};
pub use clock::{Millis, now};
pub use error::{Error, Fault};
pub use holding::{HeldManifest, NeededBlob, ShownBlob};
pub use listings::{ReferrerRow, RepositoryRow, TagRow};
pub use manifests::{ManifestId, NewManifest, StoredManifest, Weight};
pub use pulls::Pulls;
pub use reader::{Point, PointReader, Read, Reader, Scan, point, scan};
pub use repositories::RepositoryId;
pub use stats::Stats;
pub use store::Meta;
pub use sweep::{Cursor, DueCounts, FIRST, IdleBlob, IdleLink, IdleManifest, Removal};
pub use tags::{NEWEST, TagEnd, TagState, TaggedRow};
pub use trash::{RemovedTagRow, TrashRow};
pub use uploads::UploadRow;
pub use usage::{DatabaseSize, Idle, Totals, Usage};
pub use writer::{BeforeCommit, WriteTx};
