//! Opening files below `blobs/` and `uploads/`: regular files only, and no links.
//!
//! Whoever can write into the data directory could otherwise lead the registry to files of others, or to a FIFO, whose
//! opening never ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// Opens a regular file. Never waits.
///
/// # Errors
/// `InvalidData` for a symbolic link and anything else that is no regular file; file system errors.
pub(super) fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = options
        .clone()
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path)
        .map_err(|error| match Errno::from_io_error(&error) {
            // a link, or a socket or a FIFO that cannot be opened like this
            Some(Errno::LOOP | Errno::NXIO | Errno::ISDIR) => irregular(),
            _ => error,
        })?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(irregular())
    }
}

fn irregular() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "it is no regular file of the registry, but a link, a directory or a device: remove it",
    )
}
