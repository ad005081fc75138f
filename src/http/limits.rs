//! Limits that error messages name.

use std::time::Duration;

/// Size of the read buffer of a connection, and so the maximum head of a request, in bytes. A fast upload takes several
/// times this much memory.
pub(crate) const CONNECTION_BUFFER: usize = 128 << 10;

/// Maximum number of tags in one push. The response names them in its headers, whose size proxies limit.
pub(crate) const MAX_TAGS: usize = 100;

/// Maximum size of the form by which a client asks for a token, in bytes.
pub(crate) const TOKEN_FORM: usize = 32 << 10;

/// Maximum time for a manifest or a form to arrive; it is held in memory meanwhile.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(60);
