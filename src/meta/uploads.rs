//! Open upload sessions.

use rusqlite::{OptionalExtension, params};

use super::{Error, Millis, PointReader, Reader, WriteTx};
use crate::oci::{Algorithm, RepositoryName};

/// An upload session that was opened and neither finished, cancelled nor expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadRow {
    /// The hash to compute while bytes arrive.
    pub algorithm: Algorithm,
    /// How many bytes its clients have been told are safe; `None` in sessions of before this was recorded.
    pub received: Option<u64>,
    /// State of the hash after `received` bytes, as the blob store's hasher saves it; `None` if it cannot.
    pub hash_state: Option<Vec<u8>>,
}

impl PointReader<'_> {
    /// The session of that id, if it belongs to the repository.
    pub fn upload(
        &self,
        repository: &RepositoryName,
        id: &str,
    ) -> Result<Option<UploadRow>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT algorithm, received, hash_state FROM uploads WHERE id = ?1 AND repository = ?2",
                )?
                .query_row(params![id, repository.as_str()], |row| {
                    let name = row.get_ref(0)?.as_str()?;
                    Ok(UploadRow {
                        algorithm: Algorithm::parse(name).unwrap_or(Algorithm::Sha256),
                        received: row.get(1)?,
                        hash_state: row.get(2)?,
                    })
                })
                .optional()
        })
    }
}

impl Reader<'_> {
    /// Sessions whose time is over at `now`, with that time, oldest first, after the one in `after`, at most `limit`.
    pub fn expired_uploads(
        &self,
        now: Millis,
        after: &(Millis, String),
        limit: usize,
    ) -> Result<Vec<(Millis, String)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT expires_at, id FROM uploads WHERE expires_at <= ?1 AND (expires_at, id) > (?2, ?3)
                     ORDER BY expires_at, id LIMIT ?4",
                )?
                .query_map(params![now, after.0, after.1, limit], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }
}

impl WriteTx<'_> {
    /// Opens a session.
    pub fn insert_upload(
        &self,
        id: &str,
        repository: &RepositoryName,
        algorithm: Algorithm,
        now: Millis,
        expires_at: Millis,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO uploads (id, repository, algorithm, started_at, expires_at, received) VALUES (?1, ?2, ?3, ?4, ?5, 0)",
            )?
            .execute(params![id, repository.as_str(), algorithm.as_str(), now, expires_at])?;
        Ok(())
    }

    /// Records how many bytes of a session are on disk, and the state of the hash after them; false if the session is
    /// not open.
    pub fn set_upload_progress(
        &self,
        id: &str,
        received: u64,
        hash_state: Option<&[u8]>,
    ) -> Result<bool, Error> {
        Ok(self
            .connection
            .prepare_cached("UPDATE uploads SET received = ?2, hash_state = ?3 WHERE id = ?1")?
            .execute(params![id, received, hash_state])?
            > 0)
    }

    /// Has sessions end `lifetime` milliseconds after they began, or never; changes at most `limit`, and says how many.
    /// Those that are over whenever they began stay so.
    pub fn set_upload_lifetime(
        &self,
        lifetime: Option<Millis>,
        limit: usize,
    ) -> Result<usize, Error> {
        let end = "CASE WHEN ?1 IS NULL THEN 9223372036854775807 ELSE min(started_at, 9223372036854775807 - ?1) + ?1 END";
        let sql = format!(
            "UPDATE uploads SET expires_at = {end} WHERE id IN
                 (SELECT id FROM uploads WHERE started_at < expires_at AND expires_at <> {end} LIMIT ?2)"
        );
        Ok(self
            .connection
            .prepare_cached(&sql)?
            .execute(params![lifetime, limit])?)
    }

    /// Changes the session of that id for certain; where there is none, makes one that is over and that no request can
    /// reach. Says whether there was one.
    pub fn touch_upload(&self, id: &str, now: Millis) -> Result<bool, Error> {
        let is_open = self.has_upload(id)?;
        self.connection
            .prepare_cached(
                "INSERT INTO uploads (id, repository, algorithm, started_at, expires_at) VALUES (?1, '', 'sha256', ?2, ?2)
                 ON CONFLICT DO UPDATE SET started_at = excluded.started_at",
            )?
            .execute(params![id, now])?;
        Ok(is_open)
    }

    /// Whether a session of that id is open, in whatever repository.
    pub fn has_upload(&self, id: &str) -> Result<bool, Error> {
        Ok(self
            .connection
            .prepare_cached("SELECT 1 FROM uploads WHERE id = ?1")?
            .exists([id])?)
    }

    /// Ends a session; says whether it was open.
    pub fn delete_upload(&self, id: &str) -> Result<bool, Error> {
        Ok(self
            .connection
            .prepare_cached("DELETE FROM uploads WHERE id = ?1")?
            .execute([id])?
            > 0)
    }
}
