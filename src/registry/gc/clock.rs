//! Jumps of the system's clock, which must not make content due.

use crate::meta::ClockState;
use crate::registry::error::Error;
use crate::registry::facades::Gc;

impl Gc<'_> {
    /// Follows the system's clock, for the server; see [`crate::meta::Meta::follow_clock`].
    pub async fn follow_clock(self) -> Result<ClockState, Error> {
        Ok(self.registry.meta.follow_clock().await?)
    }

    /// Confirms that the system's clock, which is behind, is right; false if it is not behind.
    ///
    /// The server corrects the recorded times, or the next one that starts.
    pub async fn confirm_clock(self) -> Result<bool, Error> {
        self.registry.meta.write(|tx| Ok(tx.confirm_clock()?)).await
    }
}
