//! The client of another registry: logins, redirects, bounded answers, and content that survives a broken connection.
//!
//! [`Upstream`] asks one registry for manifests, blobs, and lists. `login` answers its challenges, and `request` sends one request
//! with everything that guards it. Nothing that a client sent here goes upstream, and what comes from there is bounded; whoever stores
//! it compares it with its digest.

mod blob;
mod error;
mod helper;
mod listing;
mod login;
mod manifest;
mod origin;
mod page;
mod request;
mod settings;

pub use blob::{BlobStream, StreamFailure};
pub use error::Error;
pub use helper::Helper;
pub use manifest::ManifestHead;
pub use page::{name_size, referrer_size};
pub use request::{Last, Quota, Tally, Upstream};
pub use settings::{BackgroundLimits, Credentials, Dialect, Login, Queue, Settings};
