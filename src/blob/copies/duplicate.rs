//! A second file with the same content, without a copy of its bytes, where the file systems allow that.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::io::Errno;

/// Gives a file a second name; false if the file systems do not allow that.
///
/// # Errors
/// A missing file or directory, a name that is taken, and other file system errors.
pub fn link(from: &Path, to: &Path) -> io::Result<bool> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::CrossesDevices
                    | io::ErrorKind::PermissionDenied
                    | io::ErrorKind::Unsupported
                    | io::ErrorKind::TooManyLinks
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Has an empty file share the blocks of another one; false if the file systems do not allow that.
///
/// # Errors
/// A full disk, and errors of the disk itself.
pub fn reflink(from: &File, to: &File) -> io::Result<bool> {
    match rustix::fs::ioctl_ficlone(to, from) {
        Ok(()) => Ok(true),
        Err(error) if [Errno::NOSPC, Errno::DQUOT, Errno::IO].contains(&error) => Err(error.into()),
        // every file system has a way of its own to say that it cannot do this
        Err(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_shared_is_no_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("one"), "content").unwrap();
        assert!(link(&path("one"), &path("two")).unwrap());
        assert_eq!(
            link(&path("one"), &path("two")).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert!(!link(Path::new("/proc/self/status"), &path("three")).unwrap());
        let status = File::open("/proc/self/status").unwrap();
        assert!(!reflink(&status, &File::create(path("four")).unwrap()).unwrap());
    }
}
