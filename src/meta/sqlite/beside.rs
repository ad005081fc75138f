//! Paths of the files that SQLite keeps beside the database.

use std::path::{Path, PathBuf};

/// Path of one of SQLite's own files, which lie beside the database that a symbolic link leads to.
pub(in crate::meta) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path
        .canonicalize()
        .unwrap_or_else(|_| path.to_owned())
        .into_os_string();
    name.push(suffix);
    name.into()
}
