//! Link files, and the directories that are named by digests.

use std::collections::HashSet;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::files::regular_file::{self, Links};
use crate::import::damage::Damage;
use crate::import::error::Error;
use crate::import::files::damage;
use crate::oci::Digest;
use crate::registry::Millis;

/// Maximum length of a link file that is read, in bytes; a digest has at most 135.
const LINK_LIMIT: u64 = 200;

/// A link file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::import) struct Link {
    pub target: Result<Digest, Damage>,
    /// Time when it was written.
    pub time: Millis,
}

/// Reads a link; `None` if there is none.
pub(in crate::import) fn read(path: &Path) -> Result<Option<Link>, Error> {
    let file = match regular_file::open(path, fs::File::options().read(true), Links::Follow) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other,
    };
    let content = file.and_then(|file| {
        let time = file.metadata()?.modified()?;
        let mut bytes = Vec::new();
        file.take(LINK_LIMIT).read_to_end(&mut bytes)?;
        Ok((bytes, time))
    });
    let (bytes, time) = match content {
        Ok(content) => content,
        Err(error) => {
            let target = Err(damage(path, error)?);
            return Ok(Some(Link { target, time: 0 }));
        }
    };
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let target = match text.trim() {
        "" => Err(Damage::EmptyLink),
        text => Digest::parse(text).map_err(|_| Damage::MalformedLink),
    };
    Ok(Some(Link {
        target,
        time: Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX),
    }))
}

/// An entry of a directory, with a name in UTF-8.
pub(in crate::import) struct Entry {
    pub name: String,
    pub path: PathBuf,
    pub kind: EntryKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::import) enum EntryKind {
    Directory,
    Symlink,
    Other,
}

/// Lists a directory by name; empty if there is none. Passes names that are no text to `report`.
pub(in crate::import) fn entries(
    path: &Path,
    report: &mut dyn FnMut(&Path, Damage),
) -> Result<Vec<Entry>, Error> {
    let listing = match fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            report(path, damage(path, error)?);
            return Ok(Vec::new());
        }
        Ok(listing) => listing,
    };
    let mut found = Vec::new();
    for entry in listing {
        let read = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)));
        let (path, kind) = match read {
            Ok(read) => read,
            Err(error) => {
                report(path, damage(path, error)?);
                continue;
            }
        };
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            report(&path, Damage::Foreign);
            continue;
        };
        found.push(Entry {
            name: name.to_owned(),
            kind: if kind.is_dir() {
                EntryKind::Directory
            } else if kind.is_symlink() {
                EntryKind::Symlink
            } else {
                EntryKind::Other
            },
            path,
        });
    }
    found.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(found)
}

/// Reports the entries of a directory that are no directories with a name of the store.
pub(in crate::import) fn unexpected(
    path: &Path,
    report: &mut dyn FnMut(&Path, Damage),
    is_name: &dyn Fn(&str) -> bool,
) -> Result<(), Error> {
    for entry in entries(path, report)? {
        match entry.kind {
            EntryKind::Directory if is_name(&entry.name) => {}
            // an owner may have moved a directory to another disk
            EntryKind::Symlink if is_name(&entry.name) && entry.path.is_dir() => {}
            EntryKind::Symlink => report(&entry.path, Damage::Symlink),
            EntryKind::Directory | EntryKind::Other => report(&entry.path, Damage::Foreign),
        }
    }
    Ok(())
}

/// Reads the links `<algorithm>/<hex>/link` below a directory, each with the digest that its path names.
///
/// Directories without a link belong to what was deleted, and are passed over, as known digests are.
pub(in crate::import) fn links_by_digest(
    path: &Path,
    known: &HashSet<Digest>,
    report: &mut dyn FnMut(&Path, Damage),
) -> Result<Vec<(Digest, PathBuf, Link)>, Error> {
    let mut found = Vec::new();
    for algorithm in entries(path, report)? {
        if algorithm.kind != EntryKind::Directory {
            report(&algorithm.path, Damage::Foreign);
            continue;
        }
        for entry in entries(&algorithm.path, report)? {
            let Ok(digest) = Digest::parse(&format!("{}:{}", algorithm.name, entry.name)) else {
                report(&entry.path, Damage::Foreign);
                continue;
            };
            if known.contains(&digest) {
                continue;
            }
            let path = entry.path.join("link");
            if let Some(link) = read(&path)? {
                found.push((digest, path, link));
            }
        }
    }
    Ok(found)
}
