//! Progress of a verification, which goes on there after it was cut off.

use rusqlite::{OptionalExtension, params};

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::writer::WriteTx;

/// The last verification by one kind of runner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerificationRun {
    /// The directory that was verified.
    pub place: String,
    pub scope: String,
    pub begun_at: Millis,
    pub phase: String,
    /// Number of the last row of the phase that was verified.
    pub after: i64,
    /// Blobs that were read.
    pub blobs: u64,
    /// Size of those blobs, in bytes.
    pub size: u64,
    /// Manifests that were read.
    pub manifests: u64,
    /// Number of findings.
    pub damaged: u64,
    /// `None` while it is under way.
    pub finished_at: Option<Millis>,
}

impl Reader<'_> {
    /// Returns the last verification by this kind of runner.
    pub fn verification(&self, runner: &str) -> Result<Option<VerificationRun>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT place, scope, begun_at, phase, after, blobs, bytes, manifests, damaged, finished_at
                     FROM verifications WHERE runner = ?1",
                )?
                .query_row([runner], |row| {
                    Ok(VerificationRun {
                        place: row.get(0)?,
                        scope: row.get(1)?,
                        begun_at: row.get(2)?,
                        phase: row.get(3)?,
                        after: row.get(4)?,
                        blobs: row.get(5)?,
                        size: row.get(6)?,
                        manifests: row.get(7)?,
                        damaged: row.get(8)?,
                        finished_at: row.get(9)?,
                    })
                })
                .optional()
        })
    }
}

impl WriteTx<'_> {
    /// Records how far a verification has come.
    pub fn record_verification(&self, runner: &str, run: &VerificationRun) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO verifications
                     (runner, place, scope, begun_at, phase, after, blobs, bytes, manifests, damaged, finished_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                runner,
                run.place,
                run.scope,
                run.begun_at,
                run.phase,
                run.after,
                run.blobs,
                run.size,
                run.manifests,
                run.damaged,
                run.finished_at
            ])?;
        Ok(())
    }
}
