//! Limits that error messages name.

/// Size of the read buffer of a connection, and so the maximum head of a request, in bytes. A fast upload takes several
/// times this much memory.
pub(crate) const CONNECTION_BUFFER: usize = 128 << 10;

/// Maximum number of tags in one push. The response names them in its headers, whose size proxies limit.
pub(crate) const MAX_TAGS: usize = 100;
