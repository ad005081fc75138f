//! The file of an upload while bytes arrive.

use std::fmt;
use std::fs::{File, Permissions};
use std::io::{self, IoSlice, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use parking_lot::Mutex;
use rustix::fs::{FallocateFlags, OFlags, fallocate};

use super::file::BlobFile;
use super::growth::{GrowingBlob, Growth};
use super::hasher::Hasher;
use super::traffic::{InUse, Traffic};
use crate::files::base_directory::Place;
use crate::oci::{Algorithm, Digest};
use crate::sys;

/// Bytes written between two requests to the kernel to start writing them to disk.
const WRITE_BACK_STEP: u64 = 8 << 20;

/// The name of an upload session: a version 4 UUID.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UploadId(Box<str>);

impl UploadId {
    /// Generates an unguessable id.
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string().into())
    }

    /// Parses an id in exactly the form that this registry writes, so that no id can be a path.
    pub fn parse(text: &str) -> Option<Self> {
        let uuid = uuid::Uuid::try_parse(text).ok()?;
        (uuid.to_string() == text).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An upload's file, open and locked.
///
/// The lock is the kernel's: it also holds between processes and ends when this is dropped.
pub struct UploadFile {
    file: File,
    length: u64,
    /// Bytes that the kernel was asked to write back.
    handed_over: u64,
    /// Blob whose name it has instead of its own.
    moved_to: Mutex<Option<Digest>>,
    /// Told of what is appended, while others read it.
    growth: Option<Growth>,
    _in_use: InUse,
}

impl UploadFile {
    /// Opens and locks the file, creating it if absent; `None` if it is locked already.
    pub(super) fn open(place: &Place<'_>, traffic: &Traffic) -> io::Result<Option<Self>> {
        Self::open_with(place, OFlags::CREATE, traffic)
    }

    /// Like [`Self::open`], but an absent file is an error.
    pub(super) fn open_present(place: &Place<'_>, traffic: &Traffic) -> io::Result<Option<Self>> {
        Self::open_with(place, OFlags::empty(), traffic)
    }

    fn open_with(place: &Place<'_>, flags: OFlags, traffic: &Traffic) -> io::Result<Option<Self>> {
        let flags = flags | OFlags::RDWR | OFlags::APPEND;
        loop {
            let file = match place.open(flags) {
                // a finished upload whose own name a crash left behind
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    let read_only = place.open(OFlags::RDONLY)?;
                    read_only.set_permissions(Permissions::from_mode(0o600))?;
                    place.open(flags)?
                }
                other => other?,
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
                Err(std::fs::TryLockError::Error(error)) => return Err(error),
            }
            let length = file.metadata()?.len();
            let upload = Self {
                file,
                length,
                handed_over: length,
                moved_to: Mutex::default(),
                growth: None,
                _in_use: traffic.enter(),
            };
            // between opening and locking, the last holder may have finished: the file is then a blob
            if upload.is_at(place) {
                return Ok(Some(upload));
            }
        }
    }

    /// True if the file also has its blob's name, or has that instead of its own.
    ///
    /// It must not be written to then: either it is a blob, or its last holder died before the commit decided that.
    pub fn is_published(&self) -> io::Result<bool> {
        Ok(self.moved_to.lock().is_some() || self.file.metadata()?.nlink() > 1)
    }

    /// Returns the blob whose name the file has instead of its own.
    pub fn moved_to(&self) -> Option<Digest> {
        self.moved_to.lock().clone()
    }

    pub(super) fn set_moved_to(&self, blob: Option<Digest>) {
        *self.moved_to.lock() = blob;
    }

    /// Makes the file of a finished blob read-only.
    pub fn make_read_only(&self) -> io::Result<()> {
        self.file.set_permissions(Permissions::from_mode(0o400))
    }

    /// True if `place` is a name of this file.
    pub(super) fn is_at(&self, place: &Place<'_>) -> bool {
        let here = self.file.metadata().map(|here| (here.dev(), here.ino()));
        here.is_ok_and(|here| place.identity().is_ok_and(|there| there == here))
    }

    /// The file's length, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Appends all of `chunks` and starts writing them to disk every few megabytes.
    ///
    /// # Errors
    /// After an error the file may hold part of them: [`Self::truncate`] or discard it.
    pub fn append(&mut self, chunks: &[impl AsRef<[u8]>]) -> io::Result<()> {
        let mut slices: Vec<IoSlice<'_>> = chunks
            .iter()
            .map(|chunk| IoSlice::new(chunk.as_ref()))
            .collect();
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            let written = match self.file.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.length += written as u64;
            IoSlice::advance_slices(&mut rest, written);
        }
        if self.length - self.handed_over >= WRITE_BACK_STEP {
            sys::start_write_back(&self.file, self.handed_over, self.length - self.handed_over);
            self.handed_over = self.length;
        }
        if let Some(growth) = &self.growth {
            growth.reached(self.length);
        }
        Ok(())
    }

    /// Lets others read what is appended to this empty file, which `file` reads; `size` is what it will have.
    pub(super) fn share_growth(&mut self, file: BlobFile, size: Option<u64>) -> GrowingBlob {
        let (growth, reader) = Growth::begin(file, size);
        self.growth = Some(growth);
        reader
    }

    /// Tells those who read it that everything is there, and has the right digest.
    pub fn complete_growth(&self) {
        if let Some(growth) = &self.growth {
            growth.verified();
        }
    }

    /// Reserves disk space for the next `bytes`, which costs less than finding space for each page that is written.
    ///
    /// A failure is ignored: writes then find their space themselves, or fail.
    /// [`Self::truncate`] frees what was not used.
    pub fn reserve(&self, bytes: u64) {
        let _ = fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.length, bytes);
    }

    /// Makes this empty file share the blocks of another one; false where the file system cannot do that.
    pub fn share_blocks(&mut self, source: &File) -> bool {
        // a file that is open for appending takes none
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let shared = File::options()
            .write(true)
            .open(own)
            .is_ok_and(|file| rustix::fs::ioctl_ficlone(&file, source).is_ok());
        let length = self.file.metadata().map(|metadata| metadata.len());
        match length {
            Ok(length) if shared => {
                self.length = length;
                self.handed_over = length;
                true
            }
            _ => false,
        }
    }

    /// Removes everything beyond `length`. Nothing can be appended through this handle afterwards.
    ///
    /// # Errors
    /// A file with a second name, such as a blob's or one in a backup: it would lose its content too.
    pub fn truncate(&self, length: u64) -> io::Result<()> {
        if self.is_published()? {
            return Err(io::Error::other(
                "it has a second name, whose content would be cut too",
            ));
        }
        self.file.set_len(length)
    }

    /// Removes everything beyond `length`, to continue from there.
    pub fn shortened(self, length: u64) -> io::Result<Self> {
        self.truncate(length)?;
        Ok(Self {
            length,
            handed_over: length,
            ..self
        })
    }

    /// Waits until every appended byte is on disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Hashes the whole file, for when the hash was not computed as the bytes arrived.
    pub fn rehash(&self, algorithm: Algorithm) -> io::Result<Hasher> {
        Hasher::of_file(&self.file, algorithm)
    }
}
