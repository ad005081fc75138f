//! Blocking work and long computations, off the async workers.

use crate::registry::error::Error;
use crate::threads::blocking;

/// Runs `work` on a blocking thread.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    blocking::run(work)
        .await
        .map_err(|error| Error::Internal(error.to_string()))
}
