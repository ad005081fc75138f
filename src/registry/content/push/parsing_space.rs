//! The memory in which pushed manifests are parsed, in turns.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::oci::{MAX_DEPTH, ManifestError, Outline};
use crate::registry::blocking::blocking;
use crate::registry::error::Error;

/// Size of the space, in KiB, and so the most that one manifest may take.
///
/// An index of 4 MiB with a platform and two annotations for each child fits.
const SPACE_KIB: u32 = 64 << 10;
/// Size up to which a manifest or a config is read in place, in bytes: it takes less time than to wake a thread.
pub(super) const SMALL: usize = 16 << 10;

#[derive(Clone)]
pub(in crate::registry) struct ParsingSpace(Arc<Semaphore>);

impl Default for ParsingSpace {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(SPACE_KIB as usize)))
    }
}

impl ParsingSpace {
    /// Waits until there is room to parse the manifest; the room is returned when the result is dropped.
    ///
    /// # Errors
    /// [`ManifestError::TooDeep`] and [`ManifestError::TooManyParts`].
    pub(in crate::registry) async fn take(
        &self,
        manifest: &Bytes,
    ) -> Result<Option<OwnedSemaphorePermit>, Error> {
        let outline = if manifest.len() <= SMALL {
            Outline::of(manifest)
        } else {
            let manifest = manifest.clone();
            blocking(move || Outline::of(&manifest)).await?
        };
        let kib = space_of(outline)?;
        Ok(self.acquire(kib).await)
    }

    /// Waits until there is room for a config of `size` bytes and its keys, as [`Self::take`] does.
    pub(in crate::registry) async fn take_for_config(
        &self,
        size: u64,
    ) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(2 * size.div_ceil(1024)).unwrap_or(SPACE_KIB);
        self.acquire(kib.min(SPACE_KIB)).await
    }

    async fn acquire(&self, kib: u32) -> Option<OwnedSemaphorePermit> {
        // the semaphore is never closed
        Arc::clone(&self.0).acquire_many_owned(kib).await.ok()
    }
}

/// Returns what parsing takes, in KiB.
fn space_of(outline: Outline) -> Result<u32, ManifestError> {
    if outline.depth > MAX_DEPTH {
        return Err(ManifestError::TooDeep);
    }
    let kib = outline.memory.div_ceil(1024);
    u32::try_from(kib)
        .ok()
        .filter(|kib| *kib <= SPACE_KIB)
        .ok_or(ManifestError::TooManyParts {
            mib: kib.div_ceil(1024),
            limit: SPACE_KIB >> 10,
        })
}

/// Checks that a manifest can be parsed in the space for one.
///
/// # Errors
/// [`ManifestError::TooDeep`] and [`ManifestError::TooManyParts`].
pub(in crate::registry) fn check_outline(manifest: &[u8]) -> Result<(), ManifestError> {
    space_of(Outline::of(manifest)).map(drop)
}
