//! Recording content of a registry that is being adopted: what was deleted here meanwhile stays deleted.

use crate::meta::{Actor, AdoptionItem, RepositorySource, WriteTx};
use crate::registry::error::Error;
use crate::registry::facades::Import;
use crate::registry::import::piece::ImportPiece;
use crate::registry::import::record::{Names, recording};

impl Import<'_> {
    /// Records pieces in one transaction, durably, on behalf of `actor`. They are one's own.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub async fn adopt(self, pieces: Vec<ImportPiece>, actor: Actor) -> Result<(), Error> {
        let registry = self.registry.clone();
        let by = actor.clone();
        self.registry
            .write(actor, move |tx, _| {
                let pieces = without_deleted(tx, pieces)?;
                let (names, source) = (Names::SyncedFirst, RepositorySource::Own);
                recording(&registry, pieces, names, source, by)(tx)
            })
            .await
    }
}

/// Drops the manifests that were deleted here, other than those that an index needs. Tags of such stay away by themselves.
fn without_deleted(
    tx: &WriteTx<'_>,
    mut pieces: Vec<ImportPiece>,
) -> Result<Vec<ImportPiece>, Error> {
    for piece in &mut pieces {
        let ImportPiece::Manifests(repository, manifests) = piece else {
            continue;
        };
        let mut kept = Vec::with_capacity(manifests.len());
        for manifest in manifests.drain(..) {
            let item = AdoptionItem::Digest(manifest.digest());
            if manifest.is_child || !tx.is_deleted_adopted(repository, item)? {
                kept.push(manifest);
            }
        }
        *manifests = kept;
    }
    Ok(pieces)
}
