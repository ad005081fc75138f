//! Checks of the config that a pushed image names.
//!
//! A config is pushed as a blob like any other. What it is shows in the manifest, so it is read when that is pushed, once.

use std::io;
use std::sync::Arc;

use crate::blob::BlobStore;
use crate::meta::point;
use crate::oci::{Digest, Manifest, ManifestError, MediaType, RepositoryName, check_image_config};
use crate::registry::blocking::blocking;
use crate::registry::content::push::change::RepositoryChange;
use crate::registry::content::push::parsing_space::SMALL;
use crate::registry::error::Error;
use crate::registry::facades::Manifests;

/// Maximum size of an image's config, in bytes: podman reads half of it.
pub(in crate::registry) const MAX_SIZE: u64 = 8 << 20;

/// Returns the config that clients read for an image; none of other artifacts, whose configs are their own.
pub(in crate::registry) fn config_of(manifest: &Manifest) -> Option<Digest> {
    let config = manifest.config.as_ref()?;
    let is_image = matches!(
        config.media_type.as_str(),
        MediaType::OCI_CONFIG | MediaType::DOCKER_CONFIG
    );
    is_image.then(|| Digest::parse(&config.digest).ok())?
}

impl Manifests<'_> {
    /// Reads and checks an image's config; returns it if it is not there to be read.
    ///
    /// # Errors
    /// [`Error::Manifest`] if clients could see different configs in it.
    pub(super) async fn check_config(
        self,
        repository: &RepositoryName,
        config: Option<Digest>,
    ) -> Result<Option<Digest>, Error> {
        let Some(config) = config else {
            return Ok(None);
        };
        if self.registry.promises.has(repository, &config)
            && is_sound(&self.registry.blobs, &config)
        {
            return Ok(None);
        }
        let link = point(|reader| reader.link(repository, &config));
        let Some(link) = self.registry.meta.read(link).await? else {
            return Ok(Some(config));
        };
        let size = link.blob.size;
        check_config_size(size)?;
        // until it is checked
        let _room = self.registry.parsing_space.take_for_config(size).await;
        let blobs = Arc::clone(&self.registry.blobs);
        if size <= SMALL as u64 {
            read_config(&blobs, config, size)
        } else {
            blocking(move || read_config(&blobs, config, size)).await?
        }
    }
}

/// Reports whether a config, which was probably just pushed, is small and passes the check. Says no in doubt.
fn is_sound(blobs: &BlobStore, config: &Digest) -> bool {
    let Ok(bytes) = blobs.read_blob(config, SMALL as u64 + 1) else {
        return false;
    };
    bytes.len() <= SMALL && bytes.starts_with(b"{") && check_image_config(&bytes).is_ok()
}

/// Checks the bytes of a config, or so many of them that they are too many.
pub(in crate::registry) fn check_config(bytes: &[u8]) -> Result<(), ManifestError> {
    check_config_size(bytes.len() as u64)?;
    check_image_config(bytes).map_err(ManifestError::Config)
}

fn check_config_size(size: u64) -> Result<(), ManifestError> {
    if size <= MAX_SIZE {
        return Ok(());
    }
    let limit = MAX_SIZE >> 20;
    Err(ManifestError::LargeConfig { limit })
}

/// Reads and checks a config of `size` bytes; returns it if it is not there to be read.
fn read_config(blobs: &BlobStore, config: Digest, size: u64) -> Result<Option<Digest>, Error> {
    match blobs.read_blob(&config, size) {
        Ok(bytes) if bytes.len() as u64 == size => {
            check_config(&bytes)?;
            Ok(None)
        }
        Ok(_) => Ok(Some(config)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(config)),
        Err(error) => Err(Error::files("reading an image's config")(error)),
    }
}

impl RepositoryChange<'_> {
    /// Takes a config that could not be read for absent, though it may have come meanwhile.
    ///
    /// # Errors
    /// [`Error::ReferencesUnknown`] if it has.
    pub(super) fn check_unread(&self, unread: Option<&Digest>) -> Result<(), Error> {
        match unread {
            Some(digest) if self.tx.blob_in(self.id, digest)?.is_some() => {
                Err(self.references_unknown(vec![digest.clone()]))
            }
            _ => Ok(()),
        }
    }
}
