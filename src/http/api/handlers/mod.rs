//! Handlers: each calls an operation of the registry and builds the response.

pub(crate) mod blobs;
pub(crate) mod events;
mod list_places;
pub(crate) mod list_room;
pub(crate) mod lists;
pub(crate) mod manifests;
mod merged;
pub(crate) mod mirrors;
mod pull_events;
pub(crate) mod tag_history;
pub(crate) mod token;
pub(crate) mod uploads;
