//! When, and how often, manifests are pulled.

use rusqlite::params;

use super::{Error, ManifestId, Millis, WriteTx};
use crate::oci::Digest;

/// Pulls of one manifest by one name, gathered for a while.
#[derive(Clone, Debug)]
pub struct Pulls {
    pub manifest: ManifestId,
    /// Its own, since its number may have been given to another one by the time they are recorded.
    pub digest: Digest,
    /// What it was asked for by; none by digest.
    pub tag: Option<String>,
    pub count: u64,
    pub last: Millis,
}

impl WriteTx<'_> {
    /// Adds pulls to what is known of a manifest, and of the tag if it still points there; by digest, of all its tags.
    pub fn add_pulls(&self, pulls: &Pulls) -> Result<(), Error> {
        let is_there = self
            .connection
            .prepare_cached(
                "UPDATE manifests SET pulls = pulls + ?2, pulled_at = max(coalesce(pulled_at, 0), ?3) WHERE id = ?1 AND digest = ?4",
            )?
            .execute(params![pulls.manifest.0, pulls.count, pulls.last, pulls.digest.as_str()])?;
        if is_there > 0 {
            // by digest, of every tag that points there: containerd asks for a tag's digest by HEAD, and pulls by that
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
