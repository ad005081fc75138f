//! The operations of a registry, for every caller alike: HTTP, the command line, background work.
//!
//! All rules live here, in terms of the vocabulary of [`crate::oci`]. Nothing here knows HTTP, SQL
//! or a path: facts come from [`crate::meta`], bytes from [`crate::blob`]. A change that needs both
//! publishes the bytes inside the metadata's transaction.
//!
//! [`Registry`] has one facade for each subject ([`Manifests`], [`Blobs`], [`Uploads`], …),
//! implemented in the modules `content`, `access`, `upload`, `import`, `export`, `backup`, `outbox`, `gc`, `policy`, `report` and `verify`.

mod access;
mod backup;
mod blocking;
mod content;
mod disk_reserve;
mod disk_space;
mod error;
mod export;
mod facades;
mod gc;
mod import;
mod outbox;
mod policy;
mod report;
mod servers;
mod service;
mod settings;
mod upload;
mod verify;

pub use crate::blob::{
    BlobContent, BlobCopier, BlobFile, BlobStore, CopyCounts, CopyPace, DirectoryLock, GrowingBlob,
    Hasher, KeptOpen, Loss, Operation, Shortage, SourceFile, UploadId, Vouched,
};
pub use crate::meta::{
    Actor, AdoptedRepository, Adoption, AdoptionItem, AdoptionProblem, AdoptionRow, AffectedImage,
    AskedFor, Attempt, AttemptOutcome, AuditAction, AuditFilter, AuditRow, BackupMark, ClockState,
    Damaged, DatabaseCopy, DatabaseSize, DeliveryFilter, DeliveryPlace, DeliveryRow, DeliveryState,
    EndpointRow, GoneTag, Idle, Jump, ListedToken, ListeningEndpoint, Millis, NewEvent,
    Quarantined, Queue, QuotaRow, RecordedBlob, RemovedTagRow, RepositoryRow, RepositorySource,
    SecretRow, SecretUse, SigningKeyRow, Sync, SyncEnd, SyncRow, TagEnd, TagRow, TagState,
    TakeOver, TokenRow, Told, Totals, TrashRow, UndoEnd, UpstreamRow, UpstreamState, Usage,
    VerificationRun, WalkEnd, WalkedRepository, backup_mark, now, remove_copy, settle_log,
};
pub use access::events::EventPage;
pub use access::session_times::SessionTimes;
pub use access::sessions::NewSession;
pub use access::tokens::{NewSecret, NewToken, Rotated, Rotation, is_token_name};
pub use backup::counters::{BackupCounters, BackupState};
pub use backup::incomplete::{IncompleteImage, IncompleteImages};
pub use backup::settings::BackupSettings;
pub use backup::source::SecondLook;
pub use content::adoption::Wanted;
pub use content::cached_image::CachedImage;
pub use content::describe::{ChildDescription, ImageDescription, ImageSummary};
pub use content::page::{Page, PageLimits, ReferrersPage};
pub use content::precondition::{EntityTags, Precondition};
pub use content::pull::blob::FoundBlob;
pub use content::push::manifest::{ManifestPush, PushedManifest};
pub use content::push::manifest_budget::ManifestReservation;
pub use content::push::promotion::{MissingChild, Promotion, Purpose};
pub use content::push::tag_changes::TagChanges;
pub use content::push::validation::{ContentClass, ManifestRules, RequiredChildren, UrlRules};
pub use content::reference::{ManifestReference, ReferenceError};
pub use content::signature_tags::SignatureTag;
pub use content::syncs::Relisted;
pub use content::undo::removal::{Removal, Undo};
pub use content::undo::tag_restore::{RestoreTarget, TagRestoration};
pub use content::undo::trash::Restored;
pub use content::visibility::{IsVisible, Visibility};
pub use error::Error;
pub use export::blob::{BlobReader, CopyError};
pub use export::manifest::{Companion, ExportedManifest};
pub use facades::{
    Audit, Backups, Blobs, Export, Gc, Import, Manifests, Outbox, Quotas, Reports, Repositories,
    Status, Tags, Tokens, Trash, Uploads, Upstreams, Verify,
};
pub use gc::counters::GcCounters;
pub use gc::deleted::DeletedContent;
pub use gc::eviction_counters::{EvictionRule, Evictions};
pub use gc::progress::{Progress, Watcher};
pub use gc::run::{SweepBy, SweepOptions};
pub use gc::sweep_counts::{RemovedByRule, Sweep, SweepCounts};
pub use import::bring::{Brought, Unbrought, Way};
pub use import::check::{BlobCheck, UnsoundBlob};
pub use import::config::refused_config;
pub use import::mirrored::MirroredManifest;
pub use import::piece::{ImportPiece, ImportedBlob, ImportedManifest, ImportedTag, TagClaim};
pub use import::progress::{ImportCounts, ImportProgress};
pub use import::record::Present;
pub use import::tag_fate::TagFate;
pub use outbox::counters::{EndpointCounters, OutboxCounters};
pub use outbox::notes::NotedEvent;
pub use policy::cache_rule::CacheRule;
pub use policy::edited::{EditedRules, RuleReader};
pub use policy::keep_untagged::KeepUntagged;
pub use policy::quota::{QuotaRule, QuotaRules, shown_size};
pub use policy::retention::Retention;
pub use policy::rule_removal::RuleRemoval;
pub use policy::sync_rule::SyncRule;
pub use policy::tag_policy::{Policy, TagDecision, TagRule, is_signature};
pub use report::deleted::{DeletedForecast, EndingUndo};
pub use report::dependents::Dependent;
pub use report::forecast::{Forecast, Waiting};
pub use report::growth::{Growth, GrowthDay, GrowthQuery, RepositoryGrowth};
pub use report::losses::CollectionBaseline;
pub use report::measurement::{StoreMeasurement, StoreUsage};
pub use report::natural::compare as compare_names;
pub use report::preview::{Deletion, DeletionEffect, PolicyPreview};
pub use report::ranking::{ListOrder, ListPlace, ListQuery, TagKey};
pub use report::removal::{PlannedRemoval, RemovalKind, RemovalTotals, WaitCause};
pub use report::rule_effects::RuleEffect;
pub use report::tag_facts::{Attached, TagFacts};
pub use report::untagged::UntaggedImage;
pub use report::usage::{LayerSpread, Overview, TagUsage};
pub use report::why::{ChainEnd, ChainStep, Explanation, HolderChain, StepKind, TagHold};
pub use service::Registry;
pub use settings::{RegistrySettings, UploadExpiry};
pub use upload::arrival::Arrival;
pub use upload::body::{BodyError, BodyStream, DirectSource, Part};
pub use upload::chunk_range::ChunkRange;
pub use upload::listing::UploadSession;
pub use upload::session::{ClosingRequest, UploadStatus};
pub use verify::counters::VerifyCounters;
pub use verify::finding::{Finding, FindingKind, Outcome, Treatment, Verification, VerifyProgress};
pub use verify::pace::{Pace, VerifySchedule};
pub use verify::run::{Runner, VerifyEvent, VerifyOptions, VerifyWatcher};
