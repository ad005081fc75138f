//! Places of paths, through links.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Reports whether a path, which need not exist, lies in a directory or is it.
pub fn is_inside(path: &Path, directory: &Path) -> bool {
    resolved(path).starts_with(resolved(directory))
}

/// Resolves the links of a path whose last parts need not exist.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (mut existing, mut rest) = (absolute.as_path(), Vec::<&OsStr>::new());
    loop {
        if let Ok(canonical) = existing.canonicalize() {
            return canonical.join(rest.iter().rev().collect::<PathBuf>());
        }
        match (existing.parent(), existing.file_name()) {
            (Some(parent), Some(name)) => {
                rest.push(name);
                existing = parent;
            }
            _ => return absolute,
        }
    }
}
