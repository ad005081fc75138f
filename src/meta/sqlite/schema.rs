//! The schema: whose a database is, its version, and the migrations to the newest.

use std::fs::OpenOptions;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::files::regular_file::{self, Links};
use crate::meta::error::{Error, Fault};

/// Marks the file as this registry's, for `file(1)` and against mistaken paths: "oreg".
const APPLICATION_ID: i32 = 0x6f72_6567;

/// Migrations by number. An applied one never changes.
const MIGRATIONS: [&str; 31] = [
    include_str!("../../../migrations/01-initial.sql"),
    include_str!("../../../migrations/02-upload-progress.sql"),
    include_str!("../../../migrations/03-collection.sql"),
    include_str!("../../../migrations/04-upload-hash-state.sql"),
    include_str!("../../../migrations/05-checks.sql"),
    include_str!("../../../migrations/06-unverified-blobs.sql"),
    include_str!("../../../migrations/07-tag-age.sql"),
    include_str!("../../../migrations/08-deleted-content.sql"),
    include_str!("../../../migrations/09-imported-tags.sql"),
    include_str!("../../../migrations/10-verification.sql"),
    include_str!("../../../migrations/11-restored-tags.sql"),
    include_str!("../../../migrations/12-tokens.sql"),
    include_str!("../../../migrations/13-signing-keys.sql"),
    include_str!("../../../migrations/14-audit.sql"),
    include_str!("../../../migrations/15-audit-indexes.sql"),
    include_str!("../../../migrations/16-quotas.sql"),
    include_str!("../../../migrations/17-audit-queries.sql"),
    include_str!("../../../migrations/18-quota-parts.sql"),
    include_str!("../../../migrations/19-events.sql"),
    include_str!("../../../migrations/20-outbox.sql"),
    include_str!("../../../migrations/21-event-numbers.sql"),
    include_str!("../../../migrations/22-mirrored-repositories.sql"),
    include_str!("../../../migrations/23-upstreams.sql"),
    include_str!("../../../migrations/24-gone-tags.sql"),
    include_str!("../../../migrations/25-adoptions.sql"),
    include_str!("../../../migrations/26-syncs.sql"),
    include_str!("../../../migrations/27-sessions.sql"),
    include_str!("../../../migrations/28-unpulled-references.sql"),
    include_str!("../../../migrations/29-session-ends.sql"),
    include_str!("../../../migrations/30-trash-unpulled.sql"),
    include_str!("../../../migrations/31-days.sql"),
];

/// Rejects files of other programs before anything is changed in them.
pub(in crate::meta) fn check_owner(connection: &Connection, path: &Path) -> Result<(), Error> {
    let foreign = || Error::Foreign(path.display().to_string());
    // one snapshot: another process may be applying its first migration
    let connection = &connection.unchecked_transaction()?;
    let pragma = |name: &str| {
        connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
    };
    let owner = match pragma("application_id") {
        Ok(owner) => owner,
        Err(cause) => {
            return Err(match Error::from(cause) {
                error if error.is(Fault::Foreign) => foreign(),
                error
                    if [
                        Fault::Busy,
                        Fault::Damaged,
                        Fault::IndexFull,
                        Fault::Unmapped,
                    ]
                    .iter()
                    .any(|fault| error.is(*fault)) =>
                {
                    error
                }
                Error::Database { message, .. } => Error::unopened(path, message),
                error => error,
            });
        }
    };
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if owner != i64::from(APPLICATION_ID) && (owner != 0 || objects > 0) {
        return Err(foreign());
    }
    let found = pragma("user_version")?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(Error::TooNew {
            path: path.display().to_string(),
            found,
            known,
        });
    }
    Ok(())
}

/// Checks the owner and the version of a database by its header (SQLite's file format, section 1.3).
///
/// The log is not read: the version in it is no older.
pub(in crate::meta) fn check_header(path: &Path) -> Result<(), Error> {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    let mut header = Vec::new();
    let options = &mut OpenOptions::new();
    options.read(true).append(true);
    let opened = regular_file::open(path, options, Links::Follow);
    let file = opened.map_err(|error| Error::unopened_file(path, error))?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, 100), &mut header)
        .map_err(|error| Error::unopened(path, error))?;
    let number = |offset: usize| {
        header
            .get(offset..offset + 4)
            .and_then(|bytes| bytes.try_into().ok())
            .map(i32::from_be_bytes)
    };
    let (Some(found), Some(owner)) = (number(60), number(68)) else {
        // an empty file is a new database; a short one belongs to another program
        return if header.is_empty() {
            Ok(())
        } else {
            Err(Error::Foreign(path.display().to_string()))
        };
    };
    if !header.starts_with(MAGIC) || (owner != APPLICATION_ID && (owner != 0 || found != 0)) {
        return Err(Error::Foreign(path.display().to_string()));
    }
    let known = MIGRATIONS.len() as i64;
    if i64::from(found) > known {
        return Err(Error::TooNew {
            path: path.display().to_string(),
            found: found.into(),
            known,
        });
    }
    Ok(())
}

/// True if the database has no pages yet.
pub(super) fn is_new(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0))
        .map(|pages| pages == 0)
}

/// Applies missing migrations in one transaction.
///
/// Of two processes that start on an empty directory at once, the second waits for the lock and finds the work done.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Error> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version == MIGRATIONS.len() as i64 {
        // up to date: no need to wait for another writer
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for (number, sql) in (1_i64..)
        .zip(MIGRATIONS)
        .filter(|(number, _)| *number > version)
    {
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    Ok(transaction.commit()?)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::connection::open_writer;
    use super::*;

    /// Makes a database of that version with these rows, and opens it as today's server does.
    fn migrated(version: usize, rows: &str) -> (TempDir, Connection) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("old");
        let old = Connection::open(&path).unwrap();
        for sql in &MIGRATIONS[..version] {
            old.execute_batch(sql).unwrap();
        }
        let marks =
            format!("PRAGMA user_version = {version}; PRAGMA application_id = {APPLICATION_ID}");
        old.execute_batch(&marks).unwrap();
        old.execute_batch(rows).unwrap();
        drop(old);
        check_header(&path).unwrap();
        let opened = open_writer(&path).unwrap();
        check_header(&path).unwrap();
        (directory, opened)
    }

    #[test]
    fn foreign_and_newer_databases_are_rejected() {
        let directory = tempfile::tempdir().unwrap();
        let text = directory.path().join("text");
        std::fs::write(
            &text,
            "not a database, but long enough to be looked at as one: ".repeat(40),
        )
        .unwrap();
        assert!(
            matches!(open_writer(&text), Err(Error::Foreign(_)))
                && matches!(check_header(&text), Err(Error::Foreign(_)))
        );

        let other = directory.path().join("other");
        Connection::open(&other)
            .unwrap()
            .execute_batch("CREATE TABLE theirs (x)")
            .unwrap();
        assert!(matches!(open_writer(&other), Err(Error::Foreign(_))));

        let future = directory.path().join("future");
        open_writer(&future)
            .unwrap()
            .pragma_update(None, "user_version", 99)
            .unwrap();
        assert!(matches!(
            open_writer(&future),
            Err(Error::TooNew { found: 99, .. })
        ));
        assert!(matches!(
            check_header(&future),
            Err(Error::TooNew { found: 99, .. })
        ));
        let empty = directory.path().join("empty");
        std::fs::write(&empty, "").unwrap();
        check_header(&empty).unwrap();
    }

    #[test]
    fn uploads_of_the_first_version_are_kept() {
        let upload = "INSERT INTO uploads VALUES ('id', 'a', 'sha256', 1, 2)";
        let (_directory, opened) = migrated(1, upload);
        let progress = |row: &rusqlite::Row<'_>| {
            Ok((
                row.get::<_, Option<u64>>("received")?,
                row.get::<_, Option<Vec<u8>>>("hash_state")?,
            ))
        };
        assert_eq!(
            opened.query_row("SELECT * FROM uploads", [], progress),
            Ok((None, None))
        );
    }

    #[test]
    fn tags_keep_their_age() {
        let (_directory, opened) = migrated(
            5,
            "INSERT INTO repositories (id, name, created_at) VALUES (1, 'app', 1);
             INSERT INTO manifests (id, repository_id, digest, media_type, size, pushed_at) VALUES (1, 1, 'x', 'y', 2, 3);
             INSERT INTO tags (repository_id, name, manifest_id, updated_at) VALUES (1, 'v1', 1, 40);
             INSERT INTO tag_history (repository_id, tag, digest, media_type, size, since, until, is_deletion)
             VALUES (1, 'v1', 'x', 'y', 2, 30, 40, 0);",
        );
        let ages = "SELECT (SELECT pushed_at FROM tags), (SELECT pushed_at FROM tag_history)";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        assert_eq!(opened.query_row(ages, [], read), Ok((40, 30)));
    }

    /// Earlier deletions are not told from pushes: they wait as before.
    #[test]
    fn what_an_older_version_deleted_is_not_released() {
        let (_directory, opened) = migrated(
            7,
            "INSERT INTO repositories (id, name, created_at) VALUES (1, 'app', 1);
             INSERT INTO manifests (id, repository_id, digest, media_type, size, pushed_at, idle_since, review_from)
             VALUES (1, 1, 'x', 'y', 2, 3, 4, 4);
             INSERT INTO blobs (id, digest, size, created_at) VALUES (1, 'b', 5, 1);
             INSERT INTO repository_blobs (repository_id, blob_id, idle_since) VALUES (1, 1, 4);",
        );
        let released = "SELECT count(released_at) FROM (SELECT released_at FROM manifests
                        UNION ALL SELECT released_at FROM repository_blobs)";
        let read = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        assert_eq!(opened.query_row(released, [], read), Ok(0));
        opened
            .execute_batch("INSERT INTO tags (repository_id, name, manifest_id, updated_at) VALUES (1, 'v1', 1, 5); DELETE FROM tags;")
            .unwrap();
        assert_eq!(opened.query_row(released, [], read), Ok(1));
    }

    #[test]
    fn nothing_is_damaged_before_a_verification() {
        let (_directory, opened) = migrated(
            7,
            "INSERT INTO repositories (id, name, created_at) VALUES (1, 'app', 1);
             INSERT INTO manifests (id, repository_id, digest, media_type, size, pushed_at) VALUES (1, 1, 'x', 'y', 2, 3);
             INSERT INTO absent_references (repository_id, digest, manifest_id, is_child) VALUES (1, 'gap', 1, 0);",
        );
        let sql = "SELECT (SELECT count(*) FROM manifests WHERE damage IS NULL),
            (SELECT count(*) FROM absent_references WHERE damage IS NULL), (SELECT count(*) FROM verifications)";
        let read = |row: &rusqlite::Row<'_>| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, i64>(2)?,
            ))
        };
        assert_eq!(opened.query_row(sql, [], read), Ok((1, 1, 0)));
    }

    #[test]
    fn indexes_of_the_audit_log_are_replaced() {
        let (_directory, opened) = migrated(
            16,
            "INSERT INTO audit (id, at, action, repository, name) VALUES (1, 2, 'delete', 'app', 'ann')",
        );
        let sql = "SELECT id FROM audit INDEXED BY audit_by_repository WHERE repository = 'app' AND name = 'ann'";
        assert_eq!(opened.query_row(sql, [], |row| row.get(0)), Ok(1));
    }

    #[test]
    fn manifests_that_were_there_before_count_in_quotas() {
        let (_directory, opened) = migrated(
            17,
            "INSERT INTO quotas (id, name, bytes_limit) VALUES (5, 'a/**', 100), (6, 'b/**', 100);
             INSERT INTO repositories (id, name, created_at, quota_id) VALUES (1, 'a/x', 3, 5);
             INSERT INTO manifests (id, repository_id, digest, media_type, size, pushed_at) VALUES (1, 1, 'x', 'y', 20, 3);
             INSERT INTO trash (repository_id, digest, media_type, bytes, tags, deleted_at) VALUES (1, 'z', 'y', x'0102', '[]', 3)",
        );
        let sql = "SELECT group_concat(manifest_bytes) FROM (SELECT manifest_bytes FROM quotas ORDER BY id)";
        assert_eq!(
            opened.query_row(sql, [], |row| row.get(0)),
            Ok("22,0".to_owned())
        );
    }

    #[test]
    fn what_was_deleted_before_lacked_nothing_on_purpose() {
        let (_directory, opened) = migrated(
            28,
            "INSERT INTO repositories (id, name, created_at) VALUES (1, 'app', 1);
             INSERT INTO trash (repository_id, digest, media_type, bytes, tags, deleted_at) VALUES (1, 'z', 'y', x'0102', '[]', 3)",
        );
        let unpulled = opened.query_row("SELECT unpulled FROM trash", [], |row| row.get(0));
        assert_eq!(unpulled, Ok("[]".to_owned()));
    }

    /// Events tell what happens from now on.
    #[test]
    fn what_happened_before_there_were_events_is_not_told() {
        let (_directory, opened) = migrated(
            18,
            "INSERT INTO audit (id, at, action, repository, tag, name) VALUES (1, 2, 'tag', 'app', 'v1', 'ann')",
        );
        let counts = "SELECT (SELECT count(*) FROM audit), (SELECT count(*) FROM events)
            + (SELECT count(*) FROM endpoints) + (SELECT count(*) FROM attempts)";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        assert_eq!(opened.query_row(counts, [], read), Ok((1, 0)));
    }

    /// The next event has a higher number than those that are there, and than what any endpoint was told of.
    #[test]
    fn numbers_of_events_go_on_after_what_is_there() {
        for (present, expected) in [
            ("(7, 'u', 3, 'tag-move', 'app')", "8;7;app7;7"),
            ("", "1;0;;"),
        ] {
            let present = match present {
                "" => String::new(),
                row => format!("INSERT INTO events (id, uuid, at, kind, repository) VALUES {row};"),
            };
            let (_directory, opened) = migrated(
                20,
                &format!(
                    "{present} UPDATE sqlite_sequence SET seq = 9;
                     INSERT INTO endpoints (name, last_event, kinds) VALUES ('a', 9, 1);
                     INSERT INTO queues VALUES ('a', 'app', 7, 0, 1, 0, '[]'), ('a', 'b', 9, 0, 1, 0, '[]');
                     INSERT INTO attempts VALUES ('a', 7, 0, 1, 0, 0, 0, 0, 0, ''), ('a', 9, 0, 1, 0, 0, 0, 0, 0, '')"
                ),
            );
            let sql = "INSERT INTO events (uuid, at, kind) VALUES ('b', 4, 'tag-move') RETURNING id
                || ';' || (SELECT last_event FROM endpoints) || ';'
                || coalesce((SELECT group_concat(repository || next_event) FROM queues), '') || ';'
                || coalesce((SELECT group_concat(event_id) FROM attempts), '')";
            let found = opened.query_row(sql, [], |row| row.get::<_, String>(0));
            assert_eq!(found, Ok(expected.to_owned()));
        }
    }

    /// Events that waited for an endpoint still wait, and the kinds that it listens to are known.
    #[test]
    fn what_waited_for_an_endpoint_goes_on_waiting() {
        let (_directory, opened) = migrated(
            19,
            "INSERT INTO settings VALUES ('event-kinds', '5');
             INSERT INTO endpoints (name, last_event, seen_at) VALUES ('a', 9, 0);
             INSERT INTO events (id, uuid, at, kind) VALUES (3, '', 0, ''), (4, '', 0, ''), (5, '', 0, ''), (6, '', 0, '');
             INSERT INTO deliveries (endpoint, event_id, repository, state, since, due_at, attempts)
                 VALUES ('a', 3, 'app', 1, 0, 0, 1), ('a', 4, 'app', 0, 0, 7, 2), ('a', 5, 'app', 0, 0, 7, 0), ('a', 6, '', 2, 0, 7, 9)",
        );
        let sql = "SELECT (SELECT group_concat(kinds) FROM endpoints) || ';'
            || (SELECT group_concat(repository || next_event) FROM queues) || ';'
            || (SELECT group_concat(event_id || ':' || state) FROM attempts)";
        assert_eq!(
            opened.query_row(sql, [], |row| row.get(0)),
            Ok("5;app4;3:1,4:0,6:2".to_owned())
        );
    }

    #[test]
    fn tags_that_were_cached_before_are_not_gone_upstream() {
        let (_directory, opened) = migrated(
            23,
            "INSERT INTO repositories (id, name, created_at, upstream) VALUES (1, 'hub/a', 0, 'u');
             INSERT INTO manifests (id, repository_id, digest, media_type, size, pushed_at) VALUES (1, 1, 'd', 'm', 1, 0);
             INSERT INTO tags (repository_id, name, manifest_id, updated_at, pushed_at) VALUES (1, '7', 1, 0, 0)",
        );
        let gone =
            "SELECT count(*) FILTER (WHERE gone_at IS NOT NULL) || ' of ' || count(*) FROM tags";
        let found = opened.query_row(gone, [], |row| row.get::<_, String>(0));
        assert_eq!(found, Ok("0 of 1".to_owned()));
    }

    #[test]
    fn recorded_rules_keep_their_meaning() {
        let (_directory, opened) = migrated(
            4,
            r#"INSERT INTO settings VALUES ('retention', '{"untagged":"Never","policies":[{"untagged":"Forever"},{"untagged":null}]}')"#,
        );
        assert_eq!(
            opened.query_row("SELECT value FROM settings", [], |row| row.get::<_, String>(0)),
            Ok(r#"{"keep_untagged":{"For":{"secs":0,"nanos":0}},"policies":[{"keep_untagged":"Forever"},{"keep_untagged":null}]}"#.to_owned())
        );
    }

    #[test]
    fn nothing_was_fetched_ahead_before() {
        let (_directory, opened) = migrated(
            25,
            "INSERT INTO upstreams VALUES ('hub', 'https://a', 1, NULL, NULL, NULL, NULL, 0, 0, 0, 0)",
        );
        let counts = "SELECT (SELECT count(*) FROM upstreams), (SELECT count(*) FROM syncs)";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        assert_eq!(opened.query_row(counts, [], read), Ok((1, 0)));
    }

    #[test]
    fn nothing_was_adopted_before() {
        let (_directory, opened) = migrated(
            24,
            "INSERT INTO upstreams VALUES ('hub', 'https://a', 1, NULL, NULL, NULL, NULL, 0, 0, 0, 0)",
        );
        let counts = "SELECT (SELECT count(*) FROM upstreams), (SELECT count(*) FROM adoptions)
            + (SELECT count(*) FROM adoption_deletions)";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        assert_eq!(opened.query_row(counts, [], read), Ok((1, 0)));
    }
}
