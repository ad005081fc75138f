//! The dated backups in one directory.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use crate::backup::directory::{self, State, state};
use crate::backup::error::Error;
use crate::registry::{BlobStore, DirectoryLock};

/// Name of a backup: its time in UTC.
const NAME: &str = "%Y-%m-%dT%H-%M-%SZ";
/// Name of the backup that is being made.
const PARTIAL: &str = "partial";
/// Name of the link to the newest backup.
const LATEST: &str = "latest";
/// Extension of a backup that is being removed.
const REMOVED: &str = "removed";

/// The dated backups in one directory.
pub(super) struct Generations<'p> {
    to: &'p Path,
}

impl<'p> Generations<'p> {
    pub fn new(to: &'p Path) -> Self {
        Self { to }
    }

    /// Place of the backup that is being made.
    pub fn partial(&self) -> PathBuf {
        self.to.join(PARTIAL)
    }

    /// Lists the complete backups, the oldest first.
    pub fn complete(&self) -> Result<Vec<(Timestamp, PathBuf)>, Error> {
        let mut found = Vec::new();
        for name in self.names()? {
            if let Some(time) = time_of(&name) {
                found.push((time, self.to.join(name)));
            }
        }
        found.sort();
        Ok(found)
    }

    /// Returns the newest backup that is one still.
    pub fn newest(&self) -> Result<Option<PathBuf>, Error> {
        let complete = self.complete()?;
        let mut newest = complete.into_iter().rev().map(|(_, path)| path);
        Ok(newest.find(|path| matches!(state(path), Ok(State::Backup))))
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let failed = Error::files("reading", self.to);
        let entries = match fs::read_dir(self.to) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Error::Missing(self.to.to_owned()));
            }
            entries => entries.map_err(&failed)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry.map_err(&failed)?.file_name().into_string());
        }
        Ok(names)
    }

    /// Gives the complete backup in [`Self::partial`] the name of its time, and has the link lead to it.
    pub fn add(&self, at: SystemTime) -> Result<PathBuf, Error> {
        let failed = Error::files("naming a backup in", self.to);
        let mut at = Timestamp::try_from(at).unwrap_or_default();
        // a clock that was set back, or two within a second
        if let Some((newest, _)) = self.complete()?.last() {
            at = at.max(newest.saturating_add(Duration::from_secs(1)).unwrap_or(at));
        }
        let name = at.strftime(NAME).to_string();
        let path = self.to.join(&name);
        fs::rename(self.partial(), &path).map_err(&failed)?;
        directory::sync(self.to)?;
        let link = self.to.join(format!(".{LATEST}"));
        let _ = fs::remove_file(&link);
        let linked = symlink(&name, &link).and_then(|()| fs::rename(&link, self.to.join(LATEST)));
        if let Err(error) = linked {
            tracing::debug!(%error, "cannot link to the newest backup");
        }
        Ok(path)
    }

    /// Removes all backups but the newest `keep`, and what is left of others that were being removed.
    ///
    /// One that a server runs on, or that was changed, stays.
    pub fn expire(&self, keep: usize) -> Result<(), Error> {
        let complete = self.complete()?;
        let old = complete.len().saturating_sub(keep);
        for (_, path) in &complete[..old] {
            if !matches!(state(path), Ok(State::Backup)) {
                continue;
            }
            let failed = Error::files("removing", path);
            let lock = BlobStore::new(path).lock_directory(DirectoryLock::Exclusive);
            if lock.map_err(&failed)?.is_some() {
                fs::rename(path, path.with_extension(REMOVED)).map_err(&failed)?;
            }
        }
        for name in self.names()? {
            if name.strip_suffix(".removed").and_then(time_of).is_some() {
                let path = self.to.join(name);
                fs::remove_dir_all(&path).map_err(Error::files("removing", &path))?;
            }
        }
        Ok(())
    }
}

/// Returns the time in the name of a backup.
fn time_of(name: &str) -> Option<Timestamp> {
    let time = civil::DateTime::strptime(NAME, name).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_times_and_times_are_names() {
        let time = time_of("2026-11-28T03-04-05Z").unwrap();
        assert_eq!(time.to_string(), "2026-11-28T03:04:05Z");
        assert_eq!(time.strftime(NAME).to_string(), "2026-11-28T03-04-05Z");
        for other in [
            "partial",
            "latest",
            "2026-11-28",
            "2026-11-28T03-04-05Z.removed",
        ] {
            assert_eq!(time_of(other), None, "{other}");
        }
    }
}
