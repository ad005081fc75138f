//! Comparison of a blob's file with its digest, and what follows from it.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use crate::meta::{WithdrawnFrom, WriteTx};
use crate::oci::Digest;
use crate::registry::blocking::blocking;
use crate::registry::error::Error;
use crate::registry::facades::Verify;

/// Result of comparing one blob with its digest.
pub(in crate::registry) enum Comparison {
    /// Its size is in bytes.
    Sound {
        size: u64,
    },
    /// It has another digest, or no file.
    Damaged {
        found: Option<Digest>,
    },
    Unreadable(io::Error),
}

impl Verify<'_> {
    /// Compares a blob's file with its digest.
    pub(in crate::registry) async fn compare(self, digest: &Digest) -> Result<Comparison, Error> {
        let (blobs, wanted) = (Arc::clone(&self.registry.blobs), digest.clone());
        Ok(match blocking(move || blobs.hash_blob(&wanted)).await? {
            Ok((found, size)) if found == *digest => Comparison::Sound { size },
            Ok((found, _)) => Comparison::Damaged { found: Some(found) },
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Comparison::Damaged { found: None }
            }
            Err(error) => Comparison::Unreadable(error),
        })
    }

    /// Records that a blob is what its digest says.
    pub(in crate::registry) async fn confirm(self, digest: Digest, size: u64) -> Result<(), Error> {
        self.registry
            .meta
            .write_lazily(move |tx| {
                if let Some(blob) = tx.blob(&digest)? {
                    tx.confirm_blob(blob, size)?;
                }
                Ok::<_, Error>(())
            })
            .await
    }
}

/// Takes a blob out of all repositories that nobody has verified; a verified one stays, and the result is `None`.
pub(in crate::registry) fn withdraw(
    tx: &WriteTx<'_>,
    digest: &Digest,
) -> Result<Option<Vec<WithdrawnFrom>>, Error> {
    match tx.blob(digest)? {
        Some(blob) if tx.is_unverified(blob)? => Ok(Some(tx.withdraw_blob(digest, blob)?)),
        _ => Ok(None),
    }
}
