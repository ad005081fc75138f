//! Limits that error messages name as well.

/// The most that is read from a connection at once, and so the largest head of a request, in bytes. It is what a fast
/// upload costs in memory, a few times over.
pub(crate) const CONNECTION_BUFFER: usize = 128 << 10;

/// How many tags one push may bring: each is a header of the answer, and proxies take only so many bytes of those.
pub(crate) const MOST_TAGS: usize = 100;
