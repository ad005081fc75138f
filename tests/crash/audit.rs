//! An independent comparison of the stored files with the database.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, Row};
use tempfile::TempDir;

use super::ledger::Reference;
use crate::support::sha256;

/// Longest time for a server to clean up after a crash.
const PATIENCE: Duration = Duration::from_secs(20);

/// A file, under any name.
#[derive(Clone, Copy)]
struct Entry {
    inode: u64,
    size: u64,
}

/// Every file of a data directory, by digest or session.
struct Walk {
    blobs: BTreeMap<String, Entry>,
    uploads: BTreeMap<String, Entry>,
    /// Blobs whose names uploads have instead of their own, by upload.
    notes: BTreeMap<String, String>,
}

/// The state recorded in the database.
struct Facts {
    blobs: BTreeMap<String, u64>,
    sessions: BTreeSet<String>,
}

fn list(directory: &Path) -> Vec<(String, PathBuf)> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let named = |entry: fs::DirEntry| {
        (
            entry
                .file_name()
                .to_str()
                .expect("a name in ASCII")
                .to_owned(),
            entry.path(),
        )
    };
    entries
        .map(|entry| named(entry.expect("an entry")))
        // FUSE's names of removed files that are still open
        .filter(|(name, _)| !name.starts_with(".fuse_hidden"))
        .collect()
}

impl Walk {
    fn of(root: &Path) -> Self {
        let mut walk = Self {
            blobs: BTreeMap::new(),
            uploads: BTreeMap::new(),
            notes: BTreeMap::new(),
        };
        for (name, path) in list(root) {
            let known = [
                "blobs",
                "uploads",
                "registry.db",
                "registry.db-wal",
                "registry.db-shm",
            ]
            .contains(&&*name);
            assert!(known, "{} does not belong here", path.display());
        }
        for (algorithm, path) in list(&root.join("blobs")) {
            for (shard, path) in list(&path) {
                for (hex, path) in list(&path) {
                    assert!(
                        hex.starts_with(&shard) && shard.len() == 2,
                        "{} is in the wrong place",
                        path.display()
                    );
                    walk.blobs
                        .extend(entry(&path).map(|entry| (format!("{algorithm}:{hex}"), entry)));
                }
            }
        }
        for (id, path) in list(&root.join("uploads")) {
            if let Some(id) = id.strip_suffix(".blob") {
                // absent if it was removed meanwhile
                let blob = fs::read_to_string(&path);
                walk.notes
                    .extend(blob.ok().map(|blob| (id.to_owned(), blob)));
                continue;
            }
            assert!(id.len() == 36, "{} is no session's", path.display());
            walk.uploads.extend(entry(&path).map(|entry| (id, entry)));
        }
        walk
    }
}

/// `None` if it was removed meanwhile.
fn entry(path: &Path) -> Option<Entry> {
    let metadata = fs::metadata(path).ok()?;
    assert!(metadata.is_file(), "{} is no file", path.display());
    Some(Entry {
        inode: metadata.ino(),
        size: metadata.len(),
    })
}

impl Facts {
    fn of(connection: &Connection) -> Self {
        let blobs = rows(connection, "SELECT digest, size FROM blobs", |row| {
            Ok((row.get(0)?, row.get(1)?))
        });
        // a session without repository is a file being cleared
        let sessions = rows(
            connection,
            "SELECT id FROM uploads WHERE repository <> ''",
            |row| row.get(0),
        );
        Self {
            blobs: blobs.into_iter().collect(),
            sessions: sessions.into_iter().collect(),
        }
    }
}

fn rows<T>(
    connection: &Connection,
    sql: &str,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Vec<T> {
    let mut statement = connection.prepare(sql).expect("a schema as expected");
    statement
        .query_map([], read)
        .expect("rows")
        .collect::<Result<_, _>>()
        .expect("readable rows")
}

fn open(database: &Path) -> Connection {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .expect("a database");
    connection.busy_timeout(PATIENCE).expect("a timeout");
    connection
}

/// A copy of the database as the crash left it; opening the original would repair its log.
fn open_copy(root: &Path) -> (TempDir, Connection) {
    let aside = TempDir::new().expect("a temporary directory");
    let database = fs::canonicalize(root.join("registry.db")).expect("a database");
    let copy = aside.path().join("copy.db");
    fs::copy(&database, &copy).expect("a copy");
    let log = database.with_extension("db-wal");
    if log.exists() {
        fs::copy(log, copy.with_extension("db-wal")).expect("a copy");
    }
    let connection = open(&copy);
    (aside, connection)
}

/// Checks the state after a crash during collection: every row has its file, and every file without
/// row has a pending removal.
pub fn check_collected(root: &Path) {
    let (_aside, connection) = open_copy(root);
    let (walk, facts) = (Walk::of(root), Facts::of(&connection));
    check_blobs(root, &walk, &facts);
    let notes: BTreeSet<String> =
        rows(&connection, "SELECT digest FROM removals", |row| row.get(0))
            .into_iter()
            .collect();
    for digest in walk
        .blobs
        .keys()
        .filter(|digest| !facts.blobs.contains_key(*digest))
    {
        assert!(
            notes.contains(digest),
            "{digest} has neither a row nor a note"
        );
    }
}

/// Checks the state after a crash, before a server has touched it; returns the visible manifests.
pub fn check_crashed(root: &Path) -> BTreeSet<Reference> {
    let (_aside, connection) = open_copy(root);
    check_database(&connection);
    let (walk, facts) = (Walk::of(root), Facts::of(&connection));
    check_blobs(root, &walk, &facts);
    let leftovers: BTreeSet<u64> = walk.uploads.values().map(|upload| upload.inode).collect();
    for (digest, orphan) in walk
        .blobs
        .iter()
        .filter(|(digest, _)| !facts.blobs.contains_key(*digest))
    {
        let is_noted = walk.notes.values().any(|noted| noted == digest);
        assert!(
            is_noted || leftovers.contains(&orphan.inode),
            "{digest} has neither a row nor an upload that names it"
        );
    }
    let seen = rows(
        &connection,
        "SELECT name, digest FROM manifests JOIN repositories ON repositories.id = repository_id",
        |row| Ok((row.get(0)?, row.get(1)?)),
    );
    seen.into_iter().collect()
}

/// Checks that each blob file matches its name and each row has its file.
fn check_blobs(root: &Path, walk: &Walk, facts: &Facts) {
    for (digest, entry) in &walk.blobs {
        let (algorithm, hex) = digest.split_once(':').expect("a digest");
        let content =
            fs::read(root.join("blobs").join(algorithm).join(&hex[..2]).join(hex)).expect("a blob");
        assert_eq!(
            &sha256(&content),
            digest,
            "a blob file of {} bytes",
            entry.size
        );
    }
    for (digest, size) in &facts.blobs {
        let file = walk
            .blobs
            .get(digest)
            .unwrap_or_else(|| panic!("{digest} has a row and no file"));
        assert_eq!(file.size, *size, "{digest}");
    }
}

/// Waits until the running server has cleared all leftovers, then checks the whole directory.
pub fn check_cleared(root: &Path) {
    let connection = open(&root.join("registry.db"));
    let deadline = Instant::now() + PATIENCE;
    loop {
        let unexpected = unexpected(&Walk::of(root), &Facts::of(&connection));
        if unexpected.is_empty() {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "not cleared after {PATIENCE:?}:\n{}",
            unexpected.join("\n")
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    check_database(&connection);
    check_blobs(root, &Walk::of(root), &Facts::of(&connection));
}

/// Files and rows that should not exist.
fn unexpected(walk: &Walk, facts: &Facts) -> Vec<String> {
    let orphans = walk
        .blobs
        .keys()
        .filter(|digest| !facts.blobs.contains_key(*digest));
    let strays = walk
        .uploads
        .keys()
        .filter(|id| !facts.sessions.contains(*id));
    let named: BTreeSet<u64> = walk.blobs.values().map(|blob| blob.inode).collect();
    let published = walk
        .uploads
        .iter()
        .filter(|(_, upload)| named.contains(&upload.inode));
    let notes = walk.notes.keys();
    orphans
        .map(|digest| format!("blob {digest} has no row"))
        .chain(notes.map(|id| format!("a note about upload {id} is left")))
        .chain(strays.map(|id| format!("upload {id} has no session")))
        .chain(published.map(|(id, _)| format!("upload {id} is a blob as well")))
        .collect()
}

/// Checks the database alone: sound, without partial changes.
fn check_database(connection: &Connection) {
    let verdict: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("a verdict");
    assert_eq!(verdict, "ok");
    let broken = rows(connection, "PRAGMA foreign_key_check", |row| {
        row.get::<_, String>(0)
    });
    assert!(
        broken.is_empty(),
        "rows that refer to nothing in {broken:?}"
    );
    for (what, sql) in [
        ("manifests without bytes", "SELECT digest FROM manifests WHERE id NOT IN (SELECT manifest_id FROM manifest_bytes)"),
        ("blobs that no repository shows", "SELECT digest FROM blobs WHERE id NOT IN (SELECT blob_id FROM repository_blobs)"),
        ("references to what the repository does not hold", "SELECT digest FROM absent_references"),
        (
            "blobs that a manifest needs and its repository does not show",
            "SELECT manifests.digest FROM manifest_blobs JOIN manifests ON manifests.id = manifest_id
             WHERE (repository_id, blob_id) NOT IN (SELECT repository_id, blob_id FROM repository_blobs)",
        ),
        (
            "repositories whose count of manifests is wrong",
            "SELECT name FROM repositories WHERE manifests <> (SELECT count(*) FROM manifests WHERE repository_id = repositories.id)",
        ),
    ] {
        let found = rows(connection, sql, |row| row.get::<_, String>(0));
        assert!(found.is_empty(), "{what}: {found:?}");
    }
    check_manifests(connection);
}

/// Checks that each manifest matches its digest, and its recorded references match its bytes.
fn check_manifests(connection: &Connection) {
    let references = rows(
        connection,
        "SELECT manifest_id, digest FROM manifest_blobs JOIN blobs ON blobs.id = blob_id
         UNION SELECT parent_id, digest FROM manifest_children JOIN manifests ON manifests.id = child_id",
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)),
    );
    let mut recorded: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    for (id, digest) in references {
        recorded.entry(id).or_default().insert(digest);
    }
    let manifests = rows(
        connection,
        "SELECT id, digest, bytes FROM manifests JOIN manifest_bytes ON manifest_id = id",
        |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, Vec<u8>>(2)?,
            ))
        },
    );
    for (id, digest, bytes) in manifests {
        assert_eq!(sha256(&bytes), digest, "the bytes of a manifest");
        assert_eq!(
            references_of(&bytes),
            recorded.remove(&id).unwrap_or_default(),
            "the references of manifest {digest}"
        );
    }
}

/// The digests that a manifest names.
pub fn references_of(manifest: &[u8]) -> BTreeSet<String> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).expect("a manifest is JSON");
    let lists = ["layers", "manifests"]
        .iter()
        .filter_map(|key| manifest[*key].as_array())
        .flatten();
    let descriptors = lists.chain(manifest.get("config"));
    descriptors
        .map(|descriptor| descriptor["digest"].as_str().expect("a digest").to_owned())
        .collect()
}
