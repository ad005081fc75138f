//! Uploads of blobs: sessions, the pipeline of their bytes, expiry, and recovery after a crash.

pub(super) mod arrival;
pub(super) mod batch_budget;
pub(super) mod body;
pub(super) mod chunk_range;
pub(super) mod direct;
pub(super) mod expiry;
pub(super) mod hashed_file;
pub(super) mod ingest;
pub(super) mod listing;
pub(super) mod locking;
pub(super) mod meter;
pub(super) mod publish;
pub(super) mod quota_ledger;
pub(super) mod recovery;
pub(super) mod session;
pub(super) mod single_request;
