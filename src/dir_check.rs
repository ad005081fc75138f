//! Whether a directory can be used, found out without a change to anything.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

use rustix::fs::{Access, access};

/// Fails as making `path` where it is missing, with what leads to it, and a file in it, would.
///
/// # Errors
/// What the system would say.
pub fn check(path: &Path) -> Result<()> {
    let absolute = std::path::absolute(path)?;
    for place in absolute.ancestors() {
        match place.metadata() {
            Ok(found) if !found.is_dir() => return Err(Error::from(ErrorKind::NotADirectory)),
            Ok(_) => return Ok(access(place, Access::WRITE_OK | Access::EXEC_OK)?),
            Err(error)
                if error.kind() == ErrorKind::NotFound && place.symlink_metadata().is_err() => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::from(ErrorKind::NotFound))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_can_be_made_will_do_and_is_not_made() {
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
            "nobody makes files there"
        );
    }
}
