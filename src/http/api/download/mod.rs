//! Downloads: responses with the bytes of a blob or manifest, their conditions and ranges.

pub(crate) mod body;
pub(crate) mod content;
pub(crate) mod range;
pub(crate) mod source;
