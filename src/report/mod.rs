//! Reports as JSON: what the command line prints with `--output json` and what `/api/v1` answers, made in one place.
//!
//! `docs/json.md` describes every object. Each is made for a [`Viewer`], who is told of nothing that access rules hide.

mod damage;
mod history;
mod image;
mod repositories;
mod tags;
mod trash;
mod untagged;
mod usage;
mod values;
mod viewer;
mod why;

pub use damage::{DamageItem, damage};
pub use history::{StateEnd, StateItem, history};
pub use image::{ImageReport, built, image};
pub use repositories::{RepositoryItem, repositories};
pub use tags::{TagItem, tags};
pub use trash::{RestorableItem, restorable_until, trash};
pub use untagged::{UntaggedItem, untagged};
pub use usage::{StoreReport, TagUsageItem, UsageItem, store, tag_usage, usage};
pub use values::{Time, Who};
pub use viewer::{People, Viewer};
pub use why::{WhyReport, why};
