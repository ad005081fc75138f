//! Responses: a builder, extra headers, and the rendering of every error.

pub(crate) mod builder;
pub(crate) mod error;
pub(crate) mod extra_headers;
