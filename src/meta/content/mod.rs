//! Repositories and what is in them: the facts that clients read and change.

pub(super) mod adoption_deletions;
pub(super) mod adoptions;
pub(super) mod blobs;
pub(super) mod import;
pub(super) mod manifest_references;
pub(super) mod manifests;
pub(super) mod pulls;
pub(super) mod quarantine;
pub(super) mod quotas;
pub(super) mod repositories;
pub(super) mod settings;
pub(super) mod syncs;
pub(super) mod tag_history;
pub(super) mod tags;
pub(super) mod uploads;
pub(super) mod upstreams;
