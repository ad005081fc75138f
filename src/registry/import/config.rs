//! Checks of the configs that imported images name, as of pushed ones.

use std::io::{self, Read};

use crate::blob::SourceFile;
use crate::oci::{Digest, ManifestError};
use crate::registry::content::push::image_config::{MAX_SIZE, check_config, config_of};
use crate::registry::error::Error;
use crate::registry::facades::Import;
use crate::registry::import::piece::ImportedManifest;

impl ImportedManifest {
    /// Returns the config that clients read for an image; none of other artifacts.
    #[must_use]
    pub fn image_config(&self) -> Option<Digest> {
        config_of(&self.manifest)
    }
}

/// Checks the bytes of an image's config, or so many of them that they are too many; returns why it is not accepted.
#[must_use]
pub fn refused_config(bytes: &[u8]) -> Option<ManifestError> {
    check_config(bytes).err()
}

impl SourceFile {
    /// Reads and checks the config of an image; returns why it is not accepted. Blocks.
    pub fn refused_config(&self) -> io::Result<Option<ManifestError>> {
        let mut bytes = Vec::new();
        self.open()?.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
        Ok(check_config(&bytes).err())
    }
}

impl Import<'_> {
    /// Checks the config of an image that is stored here, whichever repository has it; returns why it is not accepted.
    ///
    /// # Errors
    /// As of [`Import::read_stored`].
    pub async fn refused_config(self, digest: &Digest) -> Result<Option<ManifestError>, Error> {
        let stored = self.read_stored(digest, MAX_SIZE + 1).await?;
        Ok(stored.and_then(|bytes| check_config(&bytes).err()))
    }
}
