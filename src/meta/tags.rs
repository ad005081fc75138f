//! Tags: names that point at manifests.

use rusqlite::params;

use super::{Error, ManifestId, Millis, RepositoryId, WriteTx};
use crate::oci::TagName;

impl WriteTx<'_> {
    /// Points a tag at a manifest of its repository; where it already does, nothing changes.
    pub fn set_tag(&self, repository: RepositoryId, tag: &TagName, manifest: ManifestId, now: Millis) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO tags (repository_id, name, manifest_id, updated_at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET manifest_id = excluded.manifest_id, updated_at = excluded.updated_at
                 WHERE manifest_id <> excluded.manifest_id",
            )?
            .execute(params![repository.0, tag.as_str(), manifest.0, now])?;
        Ok(())
    }

    /// Removes a tag and nothing else; says whether there was one.
    pub fn delete_tag(&self, repository: RepositoryId, tag: &TagName) -> Result<bool, Error> {
        let removed = self
            .connection
            .prepare_cached("DELETE FROM tags WHERE repository_id = ?1 AND name = ?2")?
            .execute(params![repository.0, tag.as_str()])?;
        Ok(removed > 0)
    }
}
