//! Bringing back what was deleted.

use std::sync::Arc;

use super::push::{point, read, record};
use super::{Error, Page, Registry, Settings};
use crate::meta::{Actor, ManifestId, Millis, RepositoryId, TrashRow, WriteTx, now};
use crate::oci::{Digest, RepositoryName, TagName};

/// The longest page of what can be brought back.
const PAGE: usize = 1000;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    pub digest: Digest,
    /// Its tags, those that have not been given to another manifest since.
    pub tags: Vec<String>,
}

impl Registry {
    /// Deleted manifests that can be brought back; of one repository, where it is named.
    pub async fn trash(&self, repository: Option<&RepositoryName>, after: String) -> Result<Page<TrashRow>, Error> {
        let repository = repository.cloned();
        let rows = self.scan(move |meta| meta.trash(repository.as_ref(), after.split_once('@').unwrap_or_default(), PAGE + 1)).await?;
        Ok(Page::cut(rows, PAGE, |row| format!("{}@{}", row.repository, row.digest)))
    }

    /// Brings a deleted manifest back, with what it needs, and with those of its tags that nobody has used since.
    pub async fn restore_manifest(&self, repository: &RepositoryName, digest: &Digest, actor: Actor) -> Result<Restored, Error> {
        let (name, digest, settings) = (repository.clone(), digest.clone(), Arc::clone(&self.settings));
        self.meta
            .write(move |tx| {
                let id = tx.repository(&name)?.ok_or_else(|| Error::NameUnknown(name.clone()))?;
                let now = now();
                let (row, _) = tx.trashed(id, &digest)?.ok_or_else(|| not_there(&name, &digest))?;
                let manifest = bring_back(tx, id, &name, &digest, &settings, now)?;
                let mut tags = Vec::new();
                for tag in row.tags {
                    if let Ok(parsed) = TagName::parse(&tag)
                        && tx.tag_target(id, &parsed)?.is_none()
                    {
                        point(tx, &name, id, &parsed, manifest, None, &actor, now)?;
                        tags.push(tag);
                    }
                }
                Ok(Restored { digest, tags })
            })
            .await
    }
}

fn not_there(repository: &RepositoryName, digest: &Digest) -> Error {
    Error::NothingToRestore(format!("{digest} of {repository} was not deleted, or longer ago than the grace period"))
}

/// Records a deleted manifest again, after the children that went with it. Its blobs are still there: they stay for a
/// grace period after they were last needed, even those that were taken out of the repository after it.
pub(super) fn bring_back(
    tx: &WriteTx<'_>,
    id: RepositoryId,
    repository: &RepositoryName,
    digest: &Digest,
    settings: &Settings,
    now: Millis,
) -> Result<ManifestId, Error> {
    let (row, bytes) = tx.trashed(id, digest)?.ok_or_else(|| not_there(repository, digest))?;
    let (manifest, new) = read(Some(digest.clone()), Some(&row.media_type), bytes.into())?;
    for reference in manifest.references.iter().filter(|reference| reference.is_child) {
        if tx.manifest(id, &reference.digest)?.is_none() && tx.trashed(id, &reference.digest)?.is_some() {
            bring_back(tx, id, repository, &reference.digest, settings, now)?;
        }
    }
    // what a sparse manifest names the repository may never have held: it is no claim
    for reference in manifest.references.iter().filter(|reference| !reference.is_optional && !settings.sparse) {
        if let Some(blob) = tx.blob(&reference.digest)?
            && tx.manifest(id, &reference.digest)?.is_none()
        {
            tx.link_blob(id, &reference.digest, blob, now)?;
        }
    }
    record(tx, id, repository, &manifest.references, &new, settings.sparse, now)
}
