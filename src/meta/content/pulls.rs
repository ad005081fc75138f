//! Times of pulls and checks, and numbers of pulls.

use rusqlite::params;

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::ids::ManifestId;
use crate::meta::process_clock::since_jump;
use crate::meta::reports::days::day_of;
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::Digest;

/// Uses of one manifest by one name, gathered over a while.
#[derive(Clone, Debug)]
pub struct ManifestUses {
    pub manifest: ManifestId,
    /// Compared when recording, because the number may have been given to another manifest by then.
    pub digest: Digest,
    /// The tag it was used by; `None` if by digest.
    pub tag: Option<String>,
    pub pulls: u64,
    /// Time of the last pull, if any.
    pub pulled_at: Option<Millis>,
    /// Time of the last check, if any: a HEAD, or a GET that was answered with 304.
    pub checked_at: Option<Millis>,
}

/// Advances both times; either may be NULL, before and after.
const ADVANCE_TIMES: &str = "pulled_at = coalesce(max(pulled_at, ?3), ?3, pulled_at),
    checked_at = coalesce(max(checked_at, ?4), ?4, checked_at)";

impl WriteTx<'_> {
    /// Adds uses to a manifest, and to the tag if it still points there.
    ///
    /// Uses by digest count for every tag that points there.
    pub fn add_uses(&self, uses: &ManifestUses) -> Result<(), Error> {
        let pulled_at = uses.pulled_at.map(since_jump);
        let checked_at = uses.checked_at.map(since_jump);
        let is_there = self
            .connection
            .prepare_cached(&format!(
                "UPDATE manifests SET pulls = pulls + ?2, {ADVANCE_TIMES} WHERE id = ?1 AND digest = ?5"
            ))?
            .execute(params![
                uses.manifest.0,
                uses.pulls,
                pulled_at,
                checked_at,
                uses.digest.as_str()
            ])?;
        if is_there > 0 {
            // containerd resolves a tag by HEAD and pulls by digest
            self.connection
                .prepare_cached(&format!(
                    "UPDATE tags SET pulls = pulls + ?2, {ADVANCE_TIMES} WHERE manifest_id = ?1 AND (?5 IS NULL OR name = ?5)"
                ))?
                .execute(params![
                    uses.manifest.0,
                    uses.pulls,
                    pulled_at,
                    checked_at,
                    uses.tag
                ])?;
            self.add_pulls_of_day(uses)?;
        }
        Ok(())
    }

    /// Adds pulls to those of their day in the repository.
    fn add_pulls_of_day(&self, uses: &ManifestUses) -> Result<(), Error> {
        let Some(at) = uses.pulled_at.filter(|_| uses.pulls > 0) else {
            return Ok(());
        };
        self.connection
            .prepare_cached(
                "INSERT INTO days (day, repository, pulls)
                 SELECT ?2, name, ?3 FROM manifests JOIN repositories ON repositories.id = repository_id WHERE manifests.id = ?1
                 ON CONFLICT (day, repository) DO UPDATE SET pulls = pulls + excluded.pulls",
            )?
            .execute(params![uses.manifest.0, day_of(at), uses.pulls])?;
        Ok(())
    }
}
