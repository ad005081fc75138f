//! A second file with the same content, without a copy of its bytes, where the file systems allow that.

use std::fs::File;
use std::io;

use rustix::io::Errno;

/// Reports whether a file could get a second name; false if the file systems do not allow that.
///
/// # Errors
/// All other failures of `linked`.
pub fn linked(linked: io::Result<()>) -> io::Result<bool> {
    match linked {
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
    use std::fs;

    use super::*;

    #[test]
    fn what_cannot_be_shared_is_no_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("one"), "content").unwrap();
        let link = |from: &str| linked(fs::hard_link(path(from), path("two")));
        assert!(link("one").unwrap());
        assert_eq!(
            link("one").unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        fs::remove_file(path("two")).unwrap();
        assert!(!link("/proc/self/status").unwrap());
        let status = File::open("/proc/self/status").unwrap();
        assert!(!reflink(&status, &File::create(path("four")).unwrap()).unwrap());
    }
}
