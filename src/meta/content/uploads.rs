//! Open upload sessions.

use rusqlite::{OptionalExtension, params};

use crate::meta::actor::{Actor, actor};
use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::sqlite::reader::{PointReader, Reader};
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::{Algorithm, RepositoryName};

/// An open upload session: neither finished, cancelled nor expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadRow {
    /// The hash algorithm to compute while bytes arrive.
    pub algorithm: Algorithm,
    /// Number of acknowledged bytes; `None` in sessions opened before this was recorded.
    pub received: Option<u64>,
    /// State of the hash after `received` bytes, as the blob store's hasher saves it; `None` if it cannot.
    pub hash_state: Option<Vec<u8>>,
}

/// An open session, for lists.
#[derive(Clone, Debug)]
pub struct OpenUpload {
    pub id: String,
    pub repository: String,
    pub started_at: Millis,
    pub started_by: Actor,
}

/// An expired session; also a position in the list of expired sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiredUpload {
    pub id: String,
    expires_at: Millis,
}

impl PointReader<'_> {
    /// Returns the session of that id if it belongs to the repository.
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
    /// Lists sessions that have expired by `now`, oldest first, after `after`, at most `limit`.
    pub fn expired_uploads(
        &self,
        now: Millis,
        after: Option<&ExpiredUpload>,
        limit: usize,
    ) -> Result<Vec<ExpiredUpload>, Error> {
        let (time, id) = after.map_or((Millis::MIN, ""), |after| (after.expires_at, &after.id));
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT expires_at, id FROM uploads WHERE expires_at <= ?1 AND (expires_at, id) > (?2, ?3)
                     ORDER BY expires_at, id LIMIT ?4",
                )?
                .query_map(params![now, time, id, limit], |row| {
                    Ok(ExpiredUpload {
                        expires_at: row.get(0)?,
                        id: row.get(1)?,
                    })
                })?
                .collect()
        })
    }

    /// Lists open sessions by id, after `after`, at most `limit`.
    ///
    /// Leaves out those that requests cannot reach, which recovery ends.
    pub fn open_uploads(&self, after: &str, limit: usize) -> Result<Vec<OpenUpload>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT id, repository, started_at, started_by, started_from FROM uploads
                     WHERE id > ?1 AND repository <> '' ORDER BY id LIMIT ?2",
                )?
                .query_map(params![after, limit], |row| {
                    Ok(OpenUpload {
                        id: row.get(0)?,
                        repository: row.get(1)?,
                        started_at: row.get(2)?,
                        started_by: actor(row, 3)?,
                    })
                })?
                .collect()
        })
    }

    /// Reports whether a session of that id is open, in any repository.
    pub fn has_upload(&self, id: &str) -> Result<bool, Error> {
        Ok(self
            .connection
            .prepare_cached("SELECT 1 FROM uploads WHERE id = ?1")?
            .exists([id])?)
    }
}

impl WriteTx<'_> {
    /// Opens a session.
    pub fn insert_upload(
        &self,
        id: &str,
        repository: &RepositoryName,
        algorithm: Algorithm,
        actor: &Actor,
        now: Millis,
        expires_at: Millis,
    ) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO uploads (id, repository, algorithm, started_at, expires_at, received, started_by, started_from)
                 VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7)",
            )?
            .execute(params![
                id,
                repository.as_str(),
                algorithm.as_str(),
                now,
                expires_at,
                actor.name,
                actor.address
            ])?;
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

    /// Makes sessions expire `lifetime` milliseconds after they began, or never.
    ///
    /// Changes at most `limit` sessions and returns their number. Sessions made expired from the start stay so.
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

    /// Writes to the session of that id in any case; false if it is absent.
    ///
    /// An absent session is created, expired and out of reach of requests.
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

    /// Removes a session; false if it is absent.
    pub fn delete_upload(&self, id: &str) -> Result<bool, Error> {
        Ok(self
            .connection
            .prepare_cached("DELETE FROM uploads WHERE id = ?1")?
            .execute([id])?
            > 0)
    }
}
