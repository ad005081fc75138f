//! The table of keys: distribution's and ours, with the kind, the status, the default and the meaning of each.
//!
//! Validation, variables, `registry config show` and `docs/configuration.md` all follow this one table: `supported` holds
//! the keys that have an effect, `distribution_only` those of distribution that have none here.

mod distribution_only;
mod key;
mod lookup;
mod nearest;
mod renamed;
mod supported;

pub(in crate::config) use key::{Effect, is_within, switch};
pub use key::{Key, Kind, Status, When};
pub use lookup::{all, is_live, section};
pub(in crate::config) use lookup::{
    alternatives, fault_if_empty, find, is_list, is_partly_live, join, members, other_name,
};
pub(in crate::config) use nearest::nearest;
pub(in crate::config) use renamed::{KEEP_OR_REMOVE, renamed};
