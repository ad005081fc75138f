//! Copy of the database that is kept before its schema is upgraded: the way back to an older version.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::meta::error::Error;
use crate::meta::sqlite::beside::beside;
use crate::meta::sqlite::database_file::{copy_pages, create, remove_copy};

/// Copies a database whose version is `version`, durably, to `registry.db.schema-VERSION` beside it. Blocks.
///
/// The caller holds the lock of writers, so the copy is what the upgrade begins with.
///
/// # Errors
/// [`Error::NotCopied`], with nothing left behind.
pub(super) fn keep(path: &Path, version: i64) -> Result<PathBuf, Error> {
    let kept = name(path, version);
    let partial = beside(path, ".schema-partial");
    let copied = copy(path, &partial, &kept);
    copied.map_err(|cause| {
        // the cause is what matters
        let _ = remove_copy(&partial);
        Error::NotCopied {
            path: path.display().to_string(),
            cause,
        }
    })?;
    Ok(kept)
}

fn copy(path: &Path, partial: &Path, kept: &Path) -> Result<(), String> {
    create(partial).map_err(|error| error.to_string())?;
    copy_pages(path, partial).map_err(|error| error.to_string())?;
    let durable = File::open(partial).and_then(|file| {
        file.sync_all()?;
        fs::rename(partial, kept)?;
        sync_directory(kept)
    });
    durable.map_err(|error| error.to_string())
}

fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent()
        .map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// Removes the copies of other versions: the newest one is the way back.
pub(super) fn remove_others(path: &Path, version: i64) -> io::Result<()> {
    let (any, kept) = (beside(path, ".schema-"), name(path, version));
    let (Some(parent), Some(start)) = (any.parent(), any.file_name()) else {
        return Ok(());
    };
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let is_copy = entry
            .file_name()
            .as_encoded_bytes()
            .strip_prefix(start.as_encoded_bytes())
            .is_some_and(|rest| !rest.is_empty() && rest.iter().all(u8::is_ascii_digit));
        if is_copy && entry.path() != kept {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Path of the copy of that version, whether it is there or not.
fn name(path: &Path, version: i64) -> PathBuf {
    beside(path, &format!(".schema-{version}"))
}
