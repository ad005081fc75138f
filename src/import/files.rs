//! Files of a source, which is never changed.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use crate::files::regular_file::{self, Links};
use crate::import::damage::Damage;
use crate::import::error::Error;

/// `EIO`: the disk cannot read this piece; others it can.
const IO_ERROR: i32 = 5;

/// Tells an error of one piece from one that would make everything look damaged.
pub(super) fn damage(path: &Path, error: io::Error) -> Result<Damage, Error> {
    let is_of_this_piece = matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::InvalidData
            | ErrorKind::IsADirectory
            | ErrorKind::NotADirectory
    ) || error.raw_os_error() == Some(IO_ERROR);
    if is_of_this_piece {
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
