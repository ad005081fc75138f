//! Uploads: sessions, resuming, hash state and mounts.

mod direct;
mod hash_state;
mod mounts;
mod resuming;
mod sessions;
