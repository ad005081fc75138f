//! Files of a source, which is never changed.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use rustix::io::Errno;

use crate::files::regular_file::{self, Links};
use crate::import::damage::Damage;
use crate::import::error::Error;

/// Errors of one piece that have no kind: the disk cannot read it, or a link leads round in a circle or to no possible name.
const OF_ONE_PIECE: [Errno; 3] = [Errno::IO, Errno::LOOP, Errno::NAMETOOLONG];

/// Tells an error of one piece from one that would make everything look damaged.
///
/// A file that this user may not read is [`Damage::Denied`], which a take-over does not pass over.
pub(super) fn damage(path: &Path, error: io::Error) -> Result<Damage, Error> {
    let is_of_this_piece = matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::InvalidData
            | ErrorKind::IsADirectory
            | ErrorKind::NotADirectory
    ) || Errno::from_io_error(&error)
        .is_some_and(|errno| OF_ONE_PIECE.contains(&errno));
    if error.kind() == ErrorKind::PermissionDenied {
        Ok(Damage::Denied)
    } else if is_of_this_piece {
        Ok(Damage::Unreadable(error.to_string()))
    } else {
        Err(Error::unreadable(path)(error))
    }
}

/// Reads a small file; `None` if there is none.
///
/// # Errors
/// [`Error::Unreadable`], also for one of more than `limit` bytes.
pub(super) fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
    let file = match regular_file::open(path, File::options().read(true), Links::Reject) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(Error::unreadable(path))?,
    };
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(Error::unreadable(path))?;
    if bytes.len() as u64 > limit {
        let large = io::Error::other(format!("it has more than {limit} bytes"));
        return Err(Error::unreadable(path)(large));
    }
    Ok(Some(bytes))
}
