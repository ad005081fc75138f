//! The operations of a registry: what the protocol's verbs mean, for every caller alike.
//!
//! All rules live here, in terms of the vocabulary of [`crate::oci`]. Nothing here knows HTTP, SQL or a path: facts come
//! from [`crate::meta`], bytes from [`crate::blob`], and a change that needs both puts the bytes in place inside the
//! metadata's transaction.

mod blocking;
mod content;
mod disk_reserve;
mod error;
mod gc;
mod policy;
mod report;
mod service;
mod settings;
mod upload;

pub use crate::blob::{Operation, UploadId};
pub use crate::meta::{
    Actor, DatabaseSize, Idle, Millis, RemovedTagRow, TagEnd, TagState, Totals, TrashRow, Usage,
    now,
};
pub use content::describe::{Description, Summary};
pub use content::history::Restore;
pub use content::manifest_budget::Reservation;
pub use content::page::{Page, PageLimits, ReferrersPage};
pub use content::pull::OpenBlob;
pub use content::push::Pushed;
pub use content::reference::ManifestReference;
pub use content::trash::Restored;
pub use content::validation::{Acceptance, Children, Class, Urls};
pub use error::Error;
pub use gc::counters::Collection;
pub use gc::progress::{Progress, Watcher};
pub use gc::sweep::Sweep;
pub use gc::swept::Swept;
pub use policy::glob::Pattern;
pub use policy::retention::{Decision, KeepUntagged, Policy, Retention, TagRule};
pub use report::forecast::Forecast;
pub use report::measurement::{Measured, StoreUsage};
pub use report::preview::{Consequence, Deletion, Preview};
pub use report::removal::{Doomed, Kind, Share};
pub use report::simulation::Garbage;
pub use report::usage::TagUsage;
pub use report::why::{Chain, End, Step, StepKind, TagHold, Why};
pub use service::Registry;
pub use settings::{Purging, Settings};
pub use upload::ingest::{BodyError, BodyStream};
pub use upload::session::{ChunkRange, UploadStatus};
