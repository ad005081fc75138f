//! The database against itself: its structure, and the counts that triggers keep.

use rusqlite::params;

use crate::meta::clock::Millis;
use crate::meta::error::Error;
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::writer::WriteTx;

/// Maximum number of problems of one kind that are listed.
const LIMIT: usize = 1000;

/// A count that triggers keep: a query that names what is wrong, and the statement that mends it.
struct Count {
    wrong: &'static str,
    /// Its parameter is the time since which something is unreferenced that has no holder.
    mend: &'static str,
}

/// Links first: they are counted by the others.
const COUNTS: [Count; 5] = [
    Count {
        wrong: "SELECT DISTINCT 'link of blob ' || blobs.digest || ' to repository ' || name FROM manifest_blobs
             JOIN manifests ON manifests.id = manifest_id JOIN repositories ON repositories.id = repository_id
             JOIN blobs ON blobs.id = manifest_blobs.blob_id
             WHERE NOT EXISTS (SELECT 1 FROM repository_blobs AS link
                 WHERE link.repository_id = manifests.repository_id AND link.blob_id = manifest_blobs.blob_id) LIMIT ?1",
        mend: "INSERT INTO repository_blobs (repository_id, blob_id, idle_since)
             SELECT DISTINCT repository_id, blob_id, ?1 FROM manifest_blobs JOIN manifests ON manifests.id = manifest_id
             WHERE true ON CONFLICT DO NOTHING",
    },
    Count {
        wrong: "SELECT 'manifests of repository ' || name FROM repositories
             WHERE manifests <> (SELECT count(*) FROM manifests WHERE repository_id = repositories.id) LIMIT ?1",
        mend: "UPDATE repositories SET manifests = counted FROM (
                 SELECT repositories.id AS id, count(manifests.id) AS counted, ?1 FROM repositories
                 LEFT JOIN manifests ON repository_id = repositories.id GROUP BY repositories.id) AS recount
             WHERE recount.id = repositories.id AND manifests <> counted",
    },
    Count {
        wrong: "SELECT 'links of blob ' || digest FROM blobs
             WHERE links <> (SELECT count(*) FROM repository_blobs WHERE blob_id = blobs.id) LIMIT ?1",
        mend: "UPDATE blobs SET links = counted, idle_since = CASE counted WHEN 0 THEN coalesce(idle_since, ?1) END FROM (
                 SELECT blobs.id AS id, count(blob_id) AS counted FROM blobs
                 LEFT JOIN repository_blobs ON blob_id = blobs.id GROUP BY blobs.id) AS recount
             WHERE recount.id = blobs.id AND links <> counted",
    },
    Count {
        // counted once for all: thousands of repositories may show the same blob
        wrong: "WITH recount AS MATERIALIZED (
                 SELECT repository_id, blob_id, count(*) AS counted FROM manifest_blobs
                 JOIN manifests ON manifests.id = manifest_id GROUP BY repository_id, blob_id)
             SELECT 'manifests of repository ' || name || ' that need blob ' || digest FROM repository_blobs AS link
             JOIN blobs ON blobs.id = link.blob_id JOIN repositories ON repositories.id = link.repository_id
             LEFT JOIN recount ON recount.repository_id = link.repository_id AND recount.blob_id = link.blob_id
             WHERE link.holders <> coalesce(counted, 0) LIMIT ?1",
        mend: "UPDATE repository_blobs AS link SET holders = counted,
                 idle_since = CASE counted WHEN 0 THEN coalesce(link.idle_since, ?1) END,
                 released_at = CASE counted WHEN 0 THEN link.released_at END FROM (
                 SELECT repository_id, blob_id, sum(number) AS counted FROM (
                     SELECT repository_id, blob_id, 1 AS number FROM manifest_blobs JOIN manifests ON manifests.id = manifest_id
                     UNION ALL SELECT repository_id, blob_id, 0 FROM repository_blobs)
                 GROUP BY repository_id, blob_id) AS recount
             WHERE recount.repository_id = link.repository_id AND recount.blob_id = link.blob_id AND link.holders <> counted",
    },
    Count {
        wrong: "SELECT 'holders of manifest ' || digest || ' in repository ' || name FROM manifests
             JOIN repositories ON repositories.id = repository_id
             WHERE holders <> (SELECT count(*) FROM tags WHERE manifest_id = manifests.id)
                 + (SELECT count(*) FROM manifest_children WHERE child_id = manifests.id) + (held_by IS NOT NULL) LIMIT ?1",
        mend: "UPDATE manifests SET holders = counted, idle_since = CASE counted WHEN 0 THEN coalesce(idle_since, ?1) END,
                 review_from = CASE counted WHEN 0 THEN coalesce(review_from, ?1) END,
                 released_at = CASE counted WHEN 0 THEN released_at END FROM (
                 SELECT held.id AS id, (SELECT count(*) FROM tags WHERE manifest_id = held.id)
                     + (SELECT count(*) FROM manifest_children WHERE child_id = held.id) + (held.held_by IS NOT NULL) AS counted
                 FROM manifests AS held) AS recount
             WHERE recount.id = manifests.id AND holders <> counted",
    },
];

/// True for a line of an integrity check that names a problem.
fn is_problem(line: &str) -> bool {
    !line.is_empty() && line != "ok" && !line.starts_with("*** in database")
}

impl Reader<'_> {
    /// Lists the tables of the database.
    pub fn tables(&self) -> Result<Vec<String>, Error> {
        self.query(|connection| {
            connection
                .prepare_cached(
                    "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
                )?
                .query_map([], |row| row.get(0))?
                .collect()
        })
    }

    /// Checks the structure of a table and of its indexes, and its foreign keys; returns what is wrong.
    pub fn structural_damage(&self, table: &str) -> Result<Vec<String>, Error> {
        self.query(|connection| {
            let mut checks = connection.prepare(&format!("PRAGMA integrity_check('{table}')"))?;
            let mut found = Vec::new();
            for text in checks
                .query_map([], |row| row.get::<_, String>(0))?
                .take(LIMIT)
            {
                // some name several problems, below a line about the file
                found.extend(
                    text?
                        .lines()
                        .filter(|line| is_problem(line))
                        .map(str::to_owned),
                );
            }
            // references to what cannot be read prove nothing
            if !found.is_empty() {
                return Ok(found);
            }
            let mut broken = connection.prepare(&format!("PRAGMA foreign_key_check('{table}')"))?;
            let broken = broken.query_map([], |row| {
                let target: String = row.get(2)?;
                Ok(format!(
                    "a row of {table} refers to a row of {target} that is missing"
                ))
            })?;
            for line in broken.take(LIMIT) {
                found.push(line?);
            }
            Ok(found)
        })
    }

    /// Counts again what triggers have counted; names what differs.
    pub fn wrong_counts(&self) -> Result<Vec<String>, Error> {
        self.query(|connection| {
            let mut found = Vec::new();
            for count in &COUNTS {
                let mut statement = connection.prepare(count.wrong)?;
                for name in statement.query_map([LIMIT], |row| row.get(0))? {
                    found.push(name?);
                }
            }
            Ok(found)
        })
    }
}

impl WriteTx<'_> {
    /// Replaces the counts that triggers keep by a recount; what has no holder is unreferenced since `now`.
    pub fn mend_counts(&self, now: Millis) -> Result<(), Error> {
        for count in &COUNTS {
            self.connection.execute(count.mend, params![now])?;
        }
        Ok(())
    }
}
