//! Commands that carry content to other places and tools.

pub(crate) mod export;
