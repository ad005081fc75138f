//! The end of undo, in words.

use std::fmt;

use jiff::Timestamp;

use crate::meta::{self, Reader, RepositoryId, UndoEnd};
use crate::oci::{Digest, RepositoryName};
use crate::registry::error::Error;
use crate::registry::facades::Trash;

impl fmt::Display for UndoEnd {
    /// Writes when it ended, and who ended it before its time.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = Timestamp::from_millisecond(self.at).unwrap_or(Timestamp::MAX);
        write!(f, "{at:.0}")?;
        match &self.by {
            Some(name) => write!(f, ", by registry gc --now of {name}"),
            None => Ok(()),
        }
    }
}

impl Trash<'_> {
    /// Returns the last end of the undo of a manifest's deletion in any repository, with the repository.
    pub async fn undo_end_of(self, digest: &Digest) -> Result<Option<(String, UndoEnd)>, Error> {
        let digest = digest.clone();
        self.registry
            .scan(move |meta| meta.undo_end_anywhere(&digest))
            .await
    }

    /// Returns the last end of the undo of a deletion, in one repository or in all.
    pub async fn last_undo_end(
        self,
        repository: Option<&RepositoryName>,
    ) -> Result<Option<UndoEnd>, Error> {
        let repository = repository.cloned();
        self.registry
            .scan(move |meta| meta.last_undo_end(repository.as_ref()))
            .await
    }
}

/// Explains why a manifest that is not in the trash cannot be restored.
pub(super) fn not_in_trash(
    meta: &Reader<'_>,
    repository: Option<RepositoryId>,
    name: &RepositoryName,
    digest: &Digest,
) -> Result<Error, meta::Error> {
    if let Some(repository) = repository
        && meta.manifest(repository, digest)?.is_some()
    {
        return Ok(Error::NothingToRestore(format!(
            "{digest} is in {name}: it was not deleted"
        )));
    }
    Ok(match (meta.undo_end(name, digest)?, repository) {
        (Some(end), _) => Error::NothingToRestore(format!(
            "{digest} of {name} was deleted, and its undo ended on {end}"
        )),
        (None, None) => Error::NameUnknown(name.clone()),
        (None, Some(_)) => Error::NothingToRestore(format!(
            "{digest} of {name} is not in the trash: it was never there, or was deleted longer ago than the grace period"
        )),
    })
}
