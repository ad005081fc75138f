//! Logins to the page: a row for each browser, found by the hash of its cookie.

use rusqlite::{OptionalExtension, params};

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::sqlite::reader::{PointReader, Reader};
use crate::meta::sqlite::writer::WriteTx;

/// A login to the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// SHA-256 of the cookie.
    pub hash: Vec<u8>,
    /// Name of the login.
    pub owner: String,
    /// Proof by the credentials.
    pub proof: String,
    pub created_at: Millis,
    /// End without further use.
    pub expires_at: Millis,
    /// End in any case.
    pub ends_at: Millis,
}

impl PointReader<'_> {
    /// Returns the session of that hash.
    pub fn session(&self, hash: &[u8]) -> Result<Option<SessionRow>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT owner, proof, created_at, expires_at, ends_at FROM sessions WHERE hash = ?1",
                )?
                .query_row([hash], |row| {
                    Ok(SessionRow {
                        hash: hash.to_vec(),
                        owner: row.get(0)?,
                        proof: row.get(1)?,
                        created_at: row.get(2)?,
                        expires_at: row.get(3)?,
                        ends_at: row.get(4)?,
                    })
                })
                .optional()
        })
    }
}

impl Reader<'_> {
    /// Reports whether a session has ended by this time.
    pub fn has_ended_sessions(&self, now: Millis) -> Result<bool, Error> {
        let mut ended = self
            .connection
            .prepare_cached("SELECT 1 FROM sessions WHERE expires_at <= ?1 LIMIT 1")?;
        Ok(ended.exists([now])?)
    }
}

impl WriteTx<'_> {
    /// Inserts a session, and deletes the oldest of its owner beyond this number.
    pub fn insert_session(&self, session: &SessionRow, most: usize) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO sessions (hash, owner, proof, created_at, expires_at, ends_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                session.hash,
                session.owner,
                session.proof,
                session.created_at,
                session.expires_at,
                session.ends_at
            ])?;
        self.connection
            .prepare_cached(
                "DELETE FROM sessions WHERE hash IN
                   (SELECT hash FROM sessions WHERE owner = ?1 ORDER BY created_at DESC LIMIT -1 OFFSET ?2)",
            )?
            .execute(params![session.owner, most as u64])?;
        Ok(())
    }

    /// Moves the end of a session that was used.
    pub fn extend_session(&self, hash: &[u8], expires_at: Millis) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE sessions SET expires_at = min(?2, ends_at) WHERE hash = ?1")?
            .execute(params![hash, expires_at])?;
        Ok(())
    }

    /// Deletes a session; returns the name of its login.
    pub fn delete_session(&self, hash: &[u8]) -> Result<Option<String>, Error> {
        let mut delete = self
            .connection
            .prepare_cached("DELETE FROM sessions WHERE hash = ?1 RETURNING owner")?;
        Ok(delete.query_row([hash], |row| row.get(0)).optional()?)
    }

    /// Deletes sessions that have ended, at most so many.
    pub fn forget_sessions(&self, now: Millis, most: usize) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions WHERE expires_at <= ?1 LIMIT ?2)",
            )?
            .execute(params![now, most as u64])?;
        Ok(())
    }
}
