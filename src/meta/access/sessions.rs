//! Logins to the page: a row for each browser, found by the hash of its cookie.

use rusqlite::{OptionalExtension, Row, params};

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
    /// Id of the token's secret; `None` for a login without a token.
    pub credential: Option<String>,
    /// Proof by the credentials.
    pub proof: String,
    pub created_at: Millis,
    /// Time of the last use that was noted.
    pub used_at: Millis,
}

/// Times before which sessions have ended.
#[derive(Clone, Copy, Debug)]
pub struct SessionEnds {
    /// Last use.
    pub used: Millis,
    /// Beginning.
    pub created: Millis,
}

impl SessionEnds {
    /// Reports whether a session has ended.
    pub fn has_ended(&self, session: &SessionRow) -> bool {
        session.used_at <= self.used || session.created_at <= self.created
    }
}

impl PointReader<'_> {
    /// Returns the session of that hash.
    pub fn session(&self, hash: &[u8]) -> Result<Option<SessionRow>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT owner, credential, proof, created_at, used_at FROM sessions WHERE hash = ?1",
                )?
                .query_row([hash], |row| session(row, hash))
                .optional()
        })
    }
}

fn session(row: &Row<'_>, hash: &[u8]) -> rusqlite::Result<SessionRow> {
    Ok(SessionRow {
        hash: hash.to_vec(),
        owner: row.get(0)?,
        credential: row.get(1)?,
        proof: row.get(2)?,
        created_at: row.get(3)?,
        used_at: row.get(4)?,
    })
}

impl Reader<'_> {
    /// Reports whether a session has ended.
    pub fn has_ended_sessions(&self, ends: SessionEnds) -> Result<bool, Error> {
        let mut ended = self.connection.prepare_cached(
            "SELECT 1 FROM sessions WHERE used_at <= ?1 UNION ALL SELECT 1 FROM sessions WHERE created_at <= ?2 LIMIT 1",
        )?;
        Ok(ended.exists([ends.used, ends.created])?)
    }
}

impl WriteTx<'_> {
    /// Inserts a session, and deletes the oldest of its owner beyond this number.
    pub fn insert_session(&self, session: &SessionRow, most: usize) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO sessions (hash, owner, credential, proof, created_at, used_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                session.hash,
                session.owner,
                session.credential,
                session.proof,
                session.created_at,
                session.used_at
            ])?;
        self.connection
            .prepare_cached(
                "DELETE FROM sessions WHERE hash IN
                   (SELECT hash FROM sessions WHERE owner = ?1 ORDER BY created_at DESC LIMIT -1 OFFSET ?2)",
            )?
            .execute(params![session.owner, most as u64])?;
        Ok(())
    }

    /// Notes the use of a session.
    pub fn note_session_use(&self, hash: &[u8], used_at: Millis) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE sessions SET used_at = max(used_at, ?2) WHERE hash = ?1")?
            .execute(params![hash, used_at])?;
        Ok(())
    }

    /// Deletes a session, and returns it.
    pub fn delete_session(&self, hash: &[u8]) -> Result<Option<SessionRow>, Error> {
        let mut delete = self.connection.prepare_cached(
            "DELETE FROM sessions WHERE hash = ?1 RETURNING owner, credential, proof, created_at, used_at",
        )?;
        let deleted = delete.query_row([hash], |row| session(row, hash));
        Ok(deleted.optional()?)
    }

    /// Deletes sessions that have ended, about so many.
    pub fn forget_sessions(&self, ends: SessionEnds, most: usize) -> Result<(), Error> {
        for (column, time) in [("used_at", ends.used), ("created_at", ends.created)] {
            let delete = format!(
                "DELETE FROM sessions WHERE hash IN (SELECT hash FROM sessions WHERE {column} <= ?1 LIMIT ?2)"
            );
            let mut delete = self.connection.prepare_cached(&delete)?;
            delete.execute(params![time, most as u64])?;
        }
        Ok(())
    }
}
