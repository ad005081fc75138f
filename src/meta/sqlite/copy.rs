//! Copies of the database for backups, made beside running servers.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::files::regular_file::{self, Links};
use crate::meta::clock::Millis;
use crate::meta::content::quarantine::Damaged;
use crate::meta::content::settings::DAMAGED;
use crate::meta::error::{Error, Fault};
use crate::meta::ids::RepositoryScope;
use crate::meta::reports::verification::{RecordedBlob, RecordedManifest};
use crate::meta::sqlite::beside::beside;
use crate::meta::sqlite::database_file::{
    copy_pages, create, linkless, open_copy, remove_if_present,
};
use crate::meta::sqlite::reader::Reader;
use crate::meta::sqlite::schema::check_owner;
use crate::meta::sqlite::writer::WriteTx;
use crate::oci::Digest;

/// Name of the setting that marks a copy.
const MARK: &str = "backup";

/// Mark of a database that is a backup and was not changed since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupMark {
    /// Data directory that it is a copy of.
    pub of: String,
    /// Time of the copy.
    pub at: Millis,
}

/// A copy of the database, which no server uses.
pub struct DatabaseCopy {
    connection: Connection,
}

/// Copies the database `from` as of its last commit to a file, durably, and marks the copy. Blocks.
///
/// Leaves out state of the server of this directory alone: open uploads, files to be removed, and the keys that sign
/// tokens, with which whoever reads a backup could make some.
///
/// # Errors
/// [`Error::Damaged`] if the copy is, and those of both file systems.
pub(in crate::meta) fn copy(
    from: &Path,
    to: &Path,
    mark: &BackupMark,
) -> Result<DatabaseCopy, Error> {
    create(to).map_err(|error| Error::unopened_file(to, error))?;
    copy_pages(from, to)?;
    let copy = open_copy(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // by exclusive locks, the log of the original's kind needs no files beside the copy
    copy.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA journal_mode = MEMORY;
         PRAGMA secure_delete = ON;
         BEGIN;
         DELETE FROM uploads;
         DELETE FROM removals;
         DELETE FROM attempts;
         DELETE FROM queues;
         DELETE FROM events;
         DELETE FROM endpoints;
         DELETE FROM signing_keys;
         DELETE FROM sessions;",
    )?;
    copy.execute("DELETE FROM settings WHERE name = ?1", [DAMAGED])?;
    let text = serde_json::to_string(mark).unwrap_or_default();
    copy.execute(
        "INSERT OR REPLACE INTO settings (name, value) VALUES (?1, ?2)",
        params![MARK, text],
    )?;
    copy.execute_batch("COMMIT")?;
    let found: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(Error::Damaged {
            path: from.display().to_string(),
            cause: found,
        });
    }
    drop(copy);
    regular_file::open(to, File::options().read(true), Links::Reject)
        .and_then(|file| file.sync_all())
        .map_err(|error| Error::unopened_file(to, error))?;
    DatabaseCopy::open(to)
}

impl DatabaseCopy {
    /// Opens the database of a backup that no process uses.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let connection = open_copy(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(Self { connection })
    }

    /// Lists blobs after the row `after`, at most `limit`.
    pub fn blobs_after(&self, after: i64, limit: usize) -> Result<Vec<RecordedBlob>, Error> {
        Reader::new(&self.connection).blobs_after(after, &RepositoryScope::ALL, limit)
    }

    /// True if the copy lists the blob with the file that it has now.
    pub fn has_row(&self, blob: &RecordedBlob) -> Result<bool, Error> {
        Reader::new(&self.connection).has_row(blob)
    }

    /// True if the copy lists a blob of that digest, or one that is damaged.
    pub fn names_blob(&self, digest: &Digest) -> Result<bool, Error> {
        let reader = Reader::new(&self.connection);
        Ok(reader.blob(digest)?.is_some() || reader.damaged_blob(digest)?.is_some())
    }

    /// Lists blobs that are damaged, after `after` in byte order, at most `limit`.
    pub fn damaged_blobs(&self, after: &str, limit: usize) -> Result<Vec<Damaged>, Error> {
        Reader::new(&self.connection).damaged_blobs(after, &RepositoryScope::ALL, limit)
    }

    /// Lists manifests with what they name and is neither there nor damaged, after the row `after`, at most `limit`.
    pub fn gaps_after(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(RecordedManifest, HashSet<Digest>)>, Error> {
        Reader::new(&self.connection).gaps_after(after, &RepositoryScope::ALL, limit)
    }

    /// Lists the tags of a manifest and of the indexes that need it.
    pub fn image_tags(&self, manifest: &RecordedManifest) -> Result<Vec<String>, Error> {
        Reader::new(&self.connection).image_tags(manifest.id)
    }

    /// Lists manifests that are damaged, after `after` in byte order, at most `limit`.
    pub fn damaged_manifests(&self, after: &str, limit: usize) -> Result<Vec<Damaged>, Error> {
        Reader::new(&self.connection).damaged_manifests(after, limit)
    }
}

impl WriteTx<'_> {
    /// Removes the mark of a backup, because content is changed that no other directory has.
    pub fn forget_backup_mark(&self) -> Result<(), Error> {
        self.connection
            .prepare_cached("DELETE FROM settings WHERE name = ?1")?
            .execute([MARK])?;
        Ok(())
    }
}

/// Reads the mark of the database at `path`; `None` if it is no backup, or was changed since.
///
/// # Errors
/// A file of another program, a database of a newer registry, and file system errors.
pub fn backup_mark(path: &Path) -> Result<Option<BackupMark>, Error> {
    let connection = open_copy(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    check_owner(&connection, path)?;
    let has_settings = connection.table_exists(None, "settings")?;
    if !has_settings {
        return Ok(None);
    }
    let text: Option<String> = connection
        .query_row(
            "SELECT value FROM settings WHERE name = ?1",
            [MARK],
            |row| row.get(0),
        )
        .optional()?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Moves what a server or another command left in the log of the database at `path` into the database, and removes the log.
///
/// False if another process has it open.
///
/// # Errors
/// Those of the file system.
pub fn settle_log(path: &Path) -> Result<bool, Error> {
    let files = ["-wal", "-shm"].map(|suffix| beside(path, suffix));
    if !files.iter().any(|file| file.exists()) {
        return Ok(true);
    }
    let access = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(linkless(path)?, access)
        .map_err(|error| Error::unopened(path, error))?;
    let switched = connection
        .query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))
        .map_err(Error::from);
    drop(connection);
    match switched {
        Ok(mode) if String::eq(&mode, "delete") => {}
        Ok(_) => return Ok(false),
        Err(error) if error.is(Fault::Busy) => return Ok(false),
        Err(error) => return Err(error),
    }
    // an index without a log is ignored, and removed with it
    for file in files {
        remove_if_present(&file).map_err(|error| Error::unopened(path, error))?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::{Meta, now};

    #[tokio::test]
    async fn a_copy_is_one_file_without_the_servers_own_rows_and_is_marked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("registry.db");
        let meta = Meta::open(&path, Box::new(|| Ok(()))).unwrap();
        let content = Digest::parse(&format!("sha256:{}", "0".repeat(64))).unwrap();
        let digest = content.clone();
        meta.write(move |tx| {
            tx.insert_blob(&digest, 5, now())?;
            tx.connection.execute(
                "INSERT INTO uploads (id, repository, algorithm, started_at, expires_at) VALUES ('x', 'app', 'sha256', 1, 2)",
                [],
            )?;
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
        let (to, mark) = (
            directory.path().join("copy"),
            BackupMark {
                of: "here".to_owned(),
                at: 7,
            },
        );
        for _ in 0..2 {
            let copy = meta.copy_to(&to, &mark).unwrap();
            assert!(copy.names_blob(&content).unwrap());
            let blobs = copy.blobs_after(0, 10).unwrap();
            assert!(blobs.len() == 1 && copy.has_row(&blobs[0]).unwrap());
            let uploads: u64 = copy
                .connection
                .query_row("SELECT count(*) FROM uploads", [], |row| row.get(0))
                .unwrap();
            assert_eq!(uploads, 0);
        }
        assert_eq!(backup_mark(&to).unwrap(), Some(mark));
        assert_eq!(backup_mark(&path).unwrap(), None);
        let files = directory.path().read_dir().unwrap();
        let beside = files.filter(|file| {
            let name = file.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with("copy")
        });
        assert_eq!(beside.count(), 1);

        let served = Meta::open(&to, Box::new(|| Ok(()))).unwrap();
        served.write(|tx| tx.forget_backup_mark()).await.unwrap();
        assert!(!settle_log(&to).unwrap());
        drop(served);
        while !settle_log(&to).unwrap() {}
        assert!(!directory.path().join("copy-wal").exists());
        assert_eq!(backup_mark(&to).unwrap(), None);
    }
}
