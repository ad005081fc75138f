//! Content: manifests, blobs, tags and lists.

pub(super) mod adoption;
pub(super) mod blob_events;
pub(super) mod cached_image;
pub(super) mod damage_log;
pub(super) mod delete;
pub(super) mod describe;
pub(super) mod listings;
pub(super) mod lookup;
pub(super) mod lost_blobs;
pub(super) mod page;
pub(super) mod precondition;
pub(super) mod pull;
pub(super) mod push;
pub(super) mod reference;
pub(super) mod signature_tags;
pub(super) mod syncs;
pub(super) mod undo;
pub(super) mod upstreams;
pub(super) mod visibility;
