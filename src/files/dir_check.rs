//! Check that a directory can be used, without changing anything.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

use rustix::fs::{Access, access};

/// Checks that `path` and its missing parents could be created, and a file in it.
///
/// # Errors
/// The error that creating them would give.
pub fn check(path: &Path) -> Result<()> {
    let absolute = std::path::absolute(path)?;
    for ancestor in absolute.ancestors() {
        match ancestor.metadata() {
            Ok(found) if !found.is_dir() => return Err(Error::from(ErrorKind::NotADirectory)),
            Ok(_) => return Ok(access(ancestor, Access::WRITE_OK | Access::EXEC_OK)?),
            Err(error)
                if error.kind() == ErrorKind::NotFound && ancestor.symlink_metadata().is_err() => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::from(ErrorKind::NotFound))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_could_be_created_passes_and_is_not_created() {
        let temporary = tempfile::tempdir().unwrap();
        let below = temporary.path().join("a/b");
        check(&below).unwrap();
        assert!(!temporary.path().join("a").exists());
        std::fs::write(temporary.path().join("a"), "").unwrap();
        assert_eq!(check(&below).unwrap_err().kind(), ErrorKind::NotADirectory);
        std::os::unix::fs::symlink("/nowhere/at/all", temporary.path().join("link")).unwrap();
        assert_eq!(
            check(&temporary.path().join("link")).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert!(
            check(Path::new("/proc/self/new")).is_err(),
            "no file can be created there"
        );
    }
}
