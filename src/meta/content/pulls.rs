//! Times and numbers of pulls.

use rusqlite::params;

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::ids::ManifestId;
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::Digest;

/// Pulls of one manifest by one name, counted over a while.
#[derive(Clone, Debug)]
pub struct Pulls {
    pub manifest: ManifestId,
    /// Compared when recording, because the number may have been given to another manifest by then.
    pub digest: Digest,
    /// The tag it was pulled by; `None` if by digest.
    pub tag: Option<String>,
    pub count: u64,
    pub last: Millis,
}

impl WriteTx<'_> {
    /// Adds pulls to a manifest, and to the tag if it still points there.
    ///
    /// Pulls by digest count for every tag that points there.
    pub fn add_pulls(&self, pulls: &Pulls) -> Result<(), Error> {
        let is_there = self
            .connection
            .prepare_cached(
                "UPDATE manifests SET pulls = pulls + ?2, pulled_at = max(coalesce(pulled_at, 0), ?3) WHERE id = ?1 AND digest = ?4",
            )?
            .execute(params![pulls.manifest.0, pulls.count, pulls.last, pulls.digest.as_str()])?;
        if is_there > 0 {
            // containerd resolves a tag by HEAD and pulls by digest
            self.connection
                .prepare_cached(
                    "UPDATE tags SET pulls = pulls + ?2, pulled_at = max(coalesce(pulled_at, 0), ?3)
                     WHERE manifest_id = ?1 AND (?4 IS NULL OR name = ?4)",
                )?
                .execute(params![pulls.manifest.0, pulls.count, pulls.last, pulls.tag])?;
        }
        Ok(())
    }
}
