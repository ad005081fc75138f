//! Replacing a file as a whole.

use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, Uid};

/// Writes a file so that every reader finds either the old content or the new one, and a crash leaves one of the two.
///
/// A file that there is keeps its mode and its owner; a new one gets `mode`. Where another one cannot be put in its place,
/// as with a file that is mounted into a container, it is written over.
///
/// # Errors
/// What the file system says; the old content is then there as it was, except where it had to be written over.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    // through a symbolic link, which stays one
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let before = match path.metadata() {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let beside = beside(&path)?;
    let mut options = std::fs::OpenOptions::new();
    let mut file = match options
        .write(true)
        .create_new(true)
        .mode(before.as_ref().map_or(mode, |_| 0o600))
        .open(&beside)
    {
        Ok(file) => file,
        // a directory that takes no new file
        Err(error) if before.is_some() => return write_over(&path, content).map_err(|_| error),
        Err(error) => return Err(error),
    };
    let written = file
        .write_all(content)
        .and_then(|()| file.sync_all())
        .and_then(|()| match &before {
            Some(before) => {
                let is_foreign = (before.uid(), before.gid())
                    != (file.metadata()?.uid(), file.metadata()?.gid());
                if is_foreign {
                    rustix::fs::fchown(
                        &file,
                        Some(Uid::from_raw(before.uid())),
                        Some(Gid::from_raw(before.gid())),
                    )?;
                }
                Ok(rustix::fs::fchmod(
                    &file,
                    Mode::from_raw_mode(before.mode()),
                )?)
            }
            None => Ok(()),
        });
    let outcome = written.and_then(|()| std::fs::rename(&beside, &path));
    let Err(error) = outcome else {
        return sync_directory(&path);
    };
    // nothing is lost with it
    let _ = rustix::fs::unlink(&beside);
    match error.kind() {
        io::ErrorKind::ResourceBusy | io::ErrorKind::PermissionDenied if before.is_some() => {
            write_over(&path, content)
        }
        _ => Err(error),
    }
}

/// A name that nobody else has.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|_| io::Error::other("the system has no random bytes"))?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{:016x}", u64::from_le_bytes(random)));
    Ok(path.with_file_name(hidden))
}

fn write_over(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_links_and_neighbours_stay() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("file"), directory.path().join("link"));
        replace(&path, b"one", 0o640).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o640);
        rustix::fs::chmod(&path, Mode::from_raw_mode(0o604)).unwrap();
        replace(&link, b"two", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o604);
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(directory.path().read_dir().unwrap().count(), 2);
    }

    #[test]
    fn a_directory_that_is_not_there_is_not_made() {
        let directory = tempfile::tempdir().unwrap();
        assert!(replace(&directory.path().join("below/file"), b"one", 0o600).is_err());
    }
}
