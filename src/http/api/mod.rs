//! The distribution API: a request becomes one `Action`, and each kind of action has its handlers.
//!
//! - `request`: parsing, validation and authorization. `handlers`: one file per kind of content.
//! - `download`: responses with content that a digest names, in whole or in ranges.

pub(crate) mod download;
pub(crate) mod handlers;
pub(crate) mod request;
