//! Downloads: responses with the bytes of a blob or manifest, their conditions and ranges.

pub(crate) mod content;
pub(crate) mod file_body;
pub(crate) mod range;
