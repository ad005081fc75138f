//! Content that a copied database lists: blobs to copy, and what is damaged.

use std::path::Path;

use crate::backup::copies::Copies;
use crate::backup::error::Error;
use crate::backup::outcome::{DamagedContent, DamagedKind};
use crate::oci::Digest;
use crate::registry::{self, Damaged, DatabaseCopy, IncompleteImages, Loss};

/// Maximum number of rows read from a database at once.
pub(super) const PAGE: usize = 500;

/// Result of copying what a database lists. Sizes are in bytes.
#[derive(Default)]
pub(super) struct Listed {
    pub blobs: u64,
    pub size: u64,
    pub lost: Vec<(Digest, u64, Loss)>,
    /// Images that name content which is not stored.
    pub incomplete: IncompleteImages,
    /// Content that the database calls damaged.
    damaged: Vec<DamagedContent>,
}

impl Listed {
    /// Names everything that is damaged or missing.
    pub fn into_damaged(self) -> Vec<DamagedContent> {
        let lost = self
            .lost
            .into_iter()
            .map(|(digest, _, loss)| DamagedContent {
                kind: DamagedKind::Blob,
                digest,
                problem: loss.to_string(),
                is_kept: false,
            });
        lost.chain(self.damaged).collect()
    }
}

/// Copies the blobs that a copied database lists, and keeps what earlier backups have of those that are damaged.
pub(super) fn copy_listed(
    copies: &mut Copies,
    copy: &DatabaseCopy,
    to: &Path,
) -> Result<Listed, Error> {
    let failed = Error::files("copying blobs to", to);
    let mut listed = Listed::default();
    let mut after = 0;
    loop {
        let page = copy
            .blobs_after(after, PAGE)
            .map_err(registry::Error::from)?;
        let Some(last) = page.last() else {
            break;
        };
        after = last.id.number();
        for blob in page {
            listed.blobs += 1;
            listed.size += blob.size;
            if let Err(loss) = copies.copy(&blob).map_err(&failed)? {
                listed.lost.push((blob.digest, blob.size, loss));
            }
        }
    }
    copies.settle().map_err(&failed)?;
    listed.damaged = damaged_blobs(copies, copy, to)?;
    listed.damaged.extend(damaged_manifests(copy)?);
    Ok(listed)
}

fn damaged_blobs(
    copies: &Copies,
    copy: &DatabaseCopy,
    to: &Path,
) -> Result<Vec<DamagedContent>, Error> {
    let failed = Error::files("keeping blobs in", to);
    let mut found = Vec::new();
    for Damaged { digest, damage } in all(|after| copy.damaged_blobs(after, PAGE))? {
        found.push(DamagedContent {
            kind: DamagedKind::Blob,
            is_kept: copies.copier().keep(&digest).map_err(&failed)?,
            digest,
            problem: damage,
        });
    }
    Ok(found)
}

fn damaged_manifests(copy: &DatabaseCopy) -> Result<Vec<DamagedContent>, Error> {
    let damaged = all(|after| copy.damaged_manifests(after, PAGE))?;
    let named = damaged.into_iter().map(|manifest| DamagedContent {
        kind: DamagedKind::Manifest,
        digest: manifest.digest,
        problem: manifest.damage,
        is_kept: false,
    });
    Ok(named.collect())
}

/// Reads a list of damaged content, page after page.
fn all<E: Into<registry::Error>>(
    page: impl Fn(&str) -> Result<Vec<Damaged>, E>,
) -> Result<Vec<Damaged>, Error> {
    let mut found = Vec::<Damaged>::new();
    loop {
        let after = found.last().map_or("", |last| last.digest.as_str());
        let next = page(after).map_err(Into::into)?;
        if next.is_empty() {
            return Ok(found);
        }
        found.extend(next);
    }
}
