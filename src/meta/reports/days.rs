//! Sizes, pushes and pulls of repositories by day, for charts.

use rusqlite::params;

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::writer::WriteTx;

/// Number of a day since 1970, in UTC.
pub type DayNumber = i64;

const DAY: Millis = 24 * 3_600_000;

/// Name that stands for the whole store.
const STORE: &str = "";

/// Returns the day of a time.
pub fn day_of(at: Millis) -> DayNumber {
    at.div_euclid(DAY)
}

/// Day of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayRow {
    pub day: DayNumber,
    /// `None` for the whole store.
    pub repository: Option<String>,
    /// Bytes at the first collection of the day; `None` for those of the day before.
    pub size: Option<u64>,
    pub pushes: u64,
    pub pulls: u64,
}

/// Pushes of a day to a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayPushes {
    pub day: DayNumber,
    pub repository: String,
    pub pushes: u64,
}

impl Reader<'_> {
    /// Reports whether a day has the size of the whole store.
    pub fn has_day(&self, day: DayNumber) -> Result<bool, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT 1 FROM days WHERE day = ?1 AND repository = '' AND size IS NOT NULL",
                )?
                .exists([day])
        })
    }

    /// Returns the size of what repositories need now, by name; each blob counts once in a repository.
    ///
    /// The cost grows with the number of their blobs.
    pub fn sizes(&self) -> Result<Vec<(String, u64)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT name, coalesce(sum(blobs.size) FILTER (WHERE link.holders > 0), 0) FROM repositories
                     LEFT JOIN repository_blobs AS link ON link.repository_id = repositories.id
                     LEFT JOIN blobs ON blobs.id = link.blob_id GROUP BY repositories.id ORDER BY name",
                )?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// Returns the newest sizes that days before `day` have, by repository; the whole store is the first, with no name.
    pub fn sizes_before(&self, day: DayNumber) -> Result<Vec<(String, u64)>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT repository, size FROM (SELECT repository, size, max(day) FROM days
                     WHERE size IS NOT NULL AND day < ?1 GROUP BY repository) ORDER BY repository",
                )?
                .query_map([day], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
    }

    /// Returns the last row of the audit log whose push was counted.
    pub fn last_counted_push(&self) -> Result<i64, Error> {
        self.query(|connection| {
            connection
                .prepare_cached("SELECT max(audit) FROM days WHERE repository = ''")?
                .query_row([], |row| row.get::<_, Option<i64>>(0))
                .map(Option::unwrap_or_default)
        })
    }

    /// Counts the pushes behind a row of the audit log, up to another, by day and repository.
    pub fn pushes_since(&self, audit: i64, last: i64) -> Result<Vec<DayPushes>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT at / ?2, repository, count(*) FROM audit
                     WHERE id > ?1 AND id <= ?3 AND action = 'push' AND repository IS NOT NULL GROUP BY 1, 2",
                )?
                .query_map(params![audit, DAY, last], |row| {
                    Ok(DayPushes {
                        day: row.get(0)?,
                        repository: row.get(1)?,
                        pushes: row.get(2)?,
                    })
                })?
                .collect()
        })
    }

    /// Hands on what the days from `first` to `last` brought, by day. Later ones are of a clock that was wrong.
    pub fn each_day(
        &self,
        (first, last): (DayNumber, DayNumber),
        mut each: impl FnMut(DayRow),
    ) -> Result<(), Error> {
        self.query(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT day, repository, size, pushes, pulls FROM days WHERE day BETWEEN ?1 AND ?2 ORDER BY day, repository",
            )?;
            let mut rows = statement.query([first, last])?;
            while let Some(row) = rows.next()? {
                let repository: String = row.get(1)?;
                each(DayRow {
                    day: row.get(0)?,
                    repository: Some(repository).filter(|name| name != STORE),
                    size: row.get(2)?,
                    pushes: row.get(3)?,
                    pulls: row.get(4)?,
                });
            }
            Ok(())
        })
    }
}

impl WriteTx<'_> {
    /// Records the size of a repository on a day; of the whole store if it has no name.
    pub fn set_day_size(&self, day: DayNumber, repository: &str, size: u64) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO days (day, repository, size) VALUES (?1, ?2, ?3)
                 ON CONFLICT (day, repository) DO UPDATE SET size = excluded.size",
            )?
            .execute(params![day, repository, size])?;
        Ok(())
    }

    /// Adds pushes, and notes the last row of the audit log that was counted.
    pub fn add_pushes(
        &self,
        pushes: &[DayPushes],
        today: DayNumber,
        audit: i64,
    ) -> Result<(), Error> {
        let mut add = self.connection.prepare_cached(
            "INSERT INTO days (day, repository, pushes) VALUES (?1, ?2, ?3)
             ON CONFLICT (day, repository) DO UPDATE SET pushes = pushes + excluded.pushes",
        )?;
        for DayPushes {
            day,
            repository,
            pushes,
        } in pushes
        {
            add.execute(params![day, repository, pushes])?;
        }
        self.connection
            .prepare_cached(
                "INSERT INTO days (day, repository, audit) VALUES (?1, ?2, ?3)
                 ON CONFLICT (day, repository) DO UPDATE SET audit = excluded.audit",
            )?
            .execute(params![today, STORE, audit])?;
        Ok(())
    }

    /// Forgets days of repositories before one day and those of the whole store before another, at most `limit` rows.
    ///
    /// The newest size of each stays, unless nothing is left of it.
    pub fn forget_days(
        &self,
        repositories: DayNumber,
        store: DayNumber,
        limit: usize,
    ) -> Result<usize, Error> {
        Ok(self
            .connection
            .prepare_cached(
                "DELETE FROM days WHERE (day, repository) IN (
                     SELECT day, repository FROM days AS old
                     WHERE day < iif(repository = '', ?2, ?1)
                     AND (size IS NULL OR (size = 0 AND repository <> '') OR EXISTS (
                         SELECT 1 FROM days AS newer WHERE newer.repository = old.repository AND newer.day > old.day
                         AND newer.day <= iif(old.repository = '', ?2, ?1) AND newer.size IS NOT NULL))
                     LIMIT ?3)",
            )?
            .execute(params![repositories, store, limit])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::Meta;
    use crate::meta::sqlite::reader::scan;

    /// Days of a clock that was ahead are not shown, and what was counted then is not counted again.
    #[tokio::test]
    async fn a_clock_that_was_ahead_does_no_harm() {
        let directory = tempfile::tempdir().unwrap();
        let meta = Meta::open(&directory.path().join("db"), Box::new(|| Ok(()))).unwrap();
        let write = |tx: &WriteTx<'_>| {
            tx.add_pushes(&[], 3000, 5)?;
            tx.add_pushes(&[], 1000, 7)?;
            Ok::<_, Error>(())
        };
        meta.write(move |tx| write(tx)).await.unwrap();
        let read = scan(|reader: &Reader<'_>| {
            let mut days = Vec::new();
            reader.each_day((900, 1000), |row| days.push(row.day))?;
            Ok::<_, Error>((reader.last_counted_push()?, days))
        });
        assert_eq!(meta.read(read).await.unwrap(), (7, vec![1000]));
    }
}
