//! Arguments as people type them, and output for people and scripts.

pub(crate) mod confirm;
pub(crate) mod copy_bar;
pub(crate) mod json;
pub(crate) mod keys;
pub(crate) mod list;
pub(crate) mod listing;
pub(crate) mod output;
pub(crate) mod progress;
pub(crate) mod reference;
pub(crate) mod removed;
pub(crate) mod selection;
pub(crate) mod table;
pub(crate) mod time_arg;
pub(crate) mod values;
