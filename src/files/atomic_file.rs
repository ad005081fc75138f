//! Atomic replacement of a file.

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, Uid};

/// Replaces a file atomically.
///
/// Every reader, also after a crash, finds either the old content or the new one.
/// An existing file keeps its mode and owner; a new one gets `mode`. A file that cannot be replaced, such as one mounted into
/// a container, is overwritten in place.
///
/// # Errors
/// The file system's; the old content is then unchanged, unless it had to be overwritten in place.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    // follow a symbolic link, so that it stays one
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let before = match path.metadata() {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let sibling = sibling(&path)?;
    let mut options = std::fs::OpenOptions::new();
    let mut file = match options
        .write(true)
        .create_new(true)
        .mode(before.as_ref().map_or(mode, |_| 0o600))
        .open(&sibling)
    {
        Ok(file) => file,
        // no new file can be created in the directory
        Err(error) if before.is_some() => return overwrite(&path, content).map_err(|_| error),
        Err(error) => return Err(error),
    };
    let written = file
        .write_all(content)
        .and_then(|()| file.sync_all())
        .and_then(|()| {
            before
                .as_ref()
                .map_or(Ok(()), |before| adopt(&file, before))
        });
    let outcome = written.and_then(|()| std::fs::rename(&sibling, &path));
    let Err(error) = outcome else {
        return sync_directory(&path);
    };
    // the error that matters is the first one
    let _ = rustix::fs::unlink(&sibling);
    match error.kind() {
        io::ErrorKind::ResourceBusy | io::ErrorKind::PermissionDenied if before.is_some() => {
            overwrite(&path, content)
        }
        _ => Err(error),
    }
}

/// Gives `file` the owner and the mode of the file that it replaces.
fn adopt(file: &File, before: &Metadata) -> io::Result<()> {
    let now = file.metadata()?;
    if (before.uid(), before.gid()) != (now.uid(), now.gid()) {
        rustix::fs::fchown(
            file,
            Some(Uid::from_raw(before.uid())),
            Some(Gid::from_raw(before.gid())),
        )?;
    }
    Ok(rustix::fs::fchmod(
        file,
        Mode::from_raw_mode(before.mode()),
    )?)
}

/// Returns an unused name in the same directory.
fn sibling(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|_| io::Error::other("the system provides no random bytes"))?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{:016x}", u64::from_le_bytes(random)));
    Ok(path.with_file_name(hidden))
}

fn overwrite(path: &Path, content: &[u8]) -> io::Result<()> {
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
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_link_and_directory_are_kept() {
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
    fn a_missing_directory_is_not_created() {
        let directory = tempfile::tempdir().unwrap();
        assert!(replace(&directory.path().join("below/file"), b"one", 0o600).is_err());
    }
}
