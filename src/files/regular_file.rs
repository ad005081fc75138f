//! Opening files that may turn out to be something else: a FIFO would block whoever opens it.

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Maximum size of a file, in bytes.
const LARGEST: u64 = 64 << 20;

/// Treatment of a symbolic link in the place of a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    Follow,
    /// As for anything else of another kind. Links on the way there are followed.
    Reject,
}

/// Reads a regular file, which may be behind a link.
///
/// # Errors
/// A file that cannot be read, is too large, or is not a regular file.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_bounded(open(path, File::options().read(true), Links::Follow)?)
}

/// Opens a regular file. Never waits.
///
/// # Errors
/// `InvalidData` for anything else; file system errors.
pub fn open(path: &Path, options: &OpenOptions, links: Links) -> io::Result<File> {
    let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    if links == Links::Reject {
        flags |= OFlags::NOFOLLOW;
    }
    let opened = options
        .clone()
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path);
    let file = match opened {
        Ok(file) => file,
        // sockets, and links that are not followed, cannot be opened at all
        Err(error) => {
            let found = match links {
                Links::Follow => path.metadata(),
                Links::Reject => path.symlink_metadata(),
            };
            let irregularity = found.ok().and_then(|found| irregularity(&found));
            return Err(irregularity.unwrap_or(error));
        }
    };
    match irregularity(&file.metadata()?) {
        Some(error) => Err(error),
        None => Ok(file),
    }
}

/// Reads to the end, up to the maximum size.
///
/// # Errors
/// A failed read, or more bytes than that.
pub fn read_bounded(file: impl Read) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LARGEST {
        return Err(io::Error::other(format!(
            "it has more than {LARGEST} bytes"
        )));
    }
    Ok(content)
}

/// Says what `found` is instead of a regular file.
pub(super) fn irregularity(found: &Metadata) -> Option<io::Error> {
    let kind = found.file_type();
    (!kind.is_file()).then(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is {}, and must be a regular file", name_of(kind)),
        )
    })
}

/// Names what `found` is instead of a directory.
pub(super) fn kind_of_no_directory(found: &Metadata) -> Option<&'static str> {
    (!found.is_dir()).then(|| name_of(found.file_type()))
}

fn name_of(kind: FileType) -> &'static str {
    match () {
        () if kind.is_file() => "a regular file",
        () if kind.is_dir() => "a directory",
        () if kind.is_symlink() => "a symbolic link",
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_socket() => "a socket",
        () => "a device",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("file"), "content").unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("fifo"),
            rustix::fs::FileType::Fifo,
            mode,
            0,
        )
        .unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        for name in ["file", "link"] {
            assert_eq!(read(&path(name)).unwrap(), b"content", "{name}");
        }
        for (path, kind) in [
            (path("fifo"), "a FIFO"),
            (path("socket"), "a socket"),
            (path(""), "a directory"),
            ("/dev/zero".into(), "a device"),
        ] {
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains(kind), "{error}");
        }
        let error = read(&path("none")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn memory_is_bounded() {
        assert!(read_bounded(io::repeat(0)).is_err());
    }
}
