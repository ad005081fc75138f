//! Client connections: accepting, limits, encryption, HTTP/1.1 and HTTP/2, and zero-copy sending.

pub(crate) mod bodies;
mod frame_batches;
pub(crate) mod h2_executor;
pub(crate) mod h2_heads;
pub(crate) mod head_budget;
mod head_timer;
mod lending;
pub(crate) mod listener;
pub(crate) mod per_address;
pub(crate) mod raw_error;
pub(crate) mod send_budget;
pub(crate) mod sendfile;
pub(crate) mod serve;
pub(crate) mod stream;
pub(crate) mod upload_body;
pub(crate) mod warnings;
