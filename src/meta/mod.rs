//! Metadata: every fact of the registry but the bytes of its blobs, in one SQLite file.
//!
//! The only module that knows SQL; no type of rusqlite leaves it. Reads ([`Meta::read`]) see the last commit and never
//! wait for a write. Changes are closures over a [`WriteTx`], handed to [`Meta::write`], which runs many of them in one
//! durable commit. Locks in memory are parking_lot's: they have no poisoning to recover from, and protect caches only.
//!
//! `sqlite` has the connections, the readers and the writer, `content` the facts that clients change, `access` who may
//! change them, `outbox` the events for endpoints outside, `gc` what collection finds and removes, and `reports` the lists and sums.

mod access;
mod actor;
mod clock;
mod content;
mod error;
mod gc;
mod ids;
mod manifest_cache;
mod outbox;
mod process_clock;
mod read_cache;
mod reports;
mod sqlite;
mod stats;
mod store;
mod timeline;

pub use access::audit::{AuditAction, AuditRow, AuditSubject};
pub use access::audit_filter::AuditFilter;
pub use access::sessions::{SessionEnds, SessionRow};
pub use access::signing_keys::SigningKeyRow;
pub use access::tokens::{ListedToken, SecretRow, SecretUse, TokenRow};
pub use actor::Actor;
pub use clock::{Millis, millis};
pub use content::adoption_deletions::AdoptionItem;
pub use content::adoptions::{
    AdoptedRepository, Adoption, AdoptionProblem, AdoptionRow, WalkEnd, WalkedRepository,
};
pub use content::blobs::{BlobRow, LinkRow};
pub use content::import::{FormerTarget, TagMemory, TakeOver, UnverifiedBlob};
pub use content::manifests::{ManifestSize, NewManifest, StoredManifest};
pub use content::pulls::ManifestUses;
pub use content::quarantine::{Absence, Damaged, Quarantined, WithdrawnFile};
pub use content::quotas::{QuotaMember, QuotaRow, QuotaUse};
pub use content::repositories::RepositorySource;
pub use content::syncs::{Sync, SyncEnd, SyncRow};
pub use content::tag_history::{RecordedState, TagEnd, TagState};
pub use content::tags::{TagActivity, TagOrigin, TagSource, TagTarget};
pub use content::uploads::{ExpiredUpload, OpenUpload, UploadRow};
pub use content::upstreams::{GoneTag, UpstreamRow, UpstreamState};
pub use error::{Error, Fault};
pub use gc::cached_images::{CacheScope, CachedImage};
pub use gc::candidates::{DueCounts, IdleBlob, IdleLink, IdleManifest};
pub use gc::clock_record::ClockState;
pub use gc::removals::Removal;
pub use gc::trash::{RemovedTagRow, TrashRow};
pub use gc::undo_ends::UndoEnd;
pub use ids::{
    BlobId, Cursor, HistoryCursor, LinkId, ManifestId, RemovalId, RepositoryId, RepositoryScope,
};
pub use outbox::attempts::{AskedFor, Attempt, AttemptOutcome};
pub use outbox::endpoints::{ListeningEndpoint, NewEvent, Told};
pub use outbox::events::{EventPlace, EventSubject};
pub use outbox::queues::Queue;
pub use outbox::reports::{DeliveryFilter, DeliveryPlace, DeliveryRow, DeliveryState, EndpointRow};
pub use outbox::retention::{OutboxBounds, PruneStep};
pub use process_clock::{lived, lived_cutoff, now};
pub use reports::days::{DayNumber, DayPushes, DayRow, day_of};
pub use reports::listings::{ReferrerRow, RepositoryRow, TagRow};
pub use reports::references::{HeldManifest, LinkedBlob, NeededBlob};
pub use reports::usage::{DatabaseSize, Idle, Totals, Usage};
pub use reports::verification::{AffectedImage, RecordedBlob, RecordedManifest};
pub use reports::verification_run::VerificationRun;
pub use sqlite::copy::{BackupMark, DatabaseCopy, backup_mark, remove_copy, settle_log};
pub use sqlite::reader::{Point, PointReader, Read, Reader, Scan, point, scan};
pub use sqlite::writer::{BeforeCommit, WriteTx};
pub use stats::Stats;
pub use store::{DatabaseState, Meta};
pub use timeline::Jump;
