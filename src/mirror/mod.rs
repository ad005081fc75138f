//! Mirrors: repositories below a prefix whose content comes from another registry when it is first asked for.
//!
//! A caller of the operations, between HTTP and [`crate::registry`]. What a client asks for is fetched once, compared with its digest
//! and stored like a push; from then on it is served without anybody else. A tag is asked for again once it is no longer fresh, and whatever goes wrong
//! then, what is here is served. Repositories elsewhere never ask an upstream.

mod asked;
mod blob;
mod brought;
mod changing;
mod counters;
mod error;
mod flights;
mod lists;
mod manifest;
mod mirrors;
mod notes;
mod recent;
mod refusals;
mod settings;
mod states;

pub use brought::{BroughtBlob, KnownBlob};
pub use counters::MirrorCounters;
pub use error::Error;
pub use lists::{Listed, ReferrersPart};
pub use manifest::Currency;
pub use mirrors::{Mirrors, NewMirrors, Synced, WalkedUpstream};
pub use settings::MirrorSettings;
pub use states::Watched;
