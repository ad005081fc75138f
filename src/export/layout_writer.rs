//! Writers of the files of a layout: into an archive, or into a directory.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use crate::export::archive::ArchiveWriter;

/// Size of the buffer before an archive, in bytes.
const BUFFER: usize = 64 << 10;

/// Writer of a layout, file by file.
pub(super) enum LayoutWriter {
    Archive {
        archive: ArchiveWriter<BufWriter<File>>,
        directories: BTreeSet<String>,
    },
    Directory {
        root: PathBuf,
        /// The present file.
        file: Option<File>,
    },
}

impl LayoutWriter {
    /// A writer of an archive.
    pub fn archive(file: File) -> Self {
        Self::Archive {
            archive: ArchiveWriter::new(BufWriter::with_capacity(BUFFER, file)),
            directories: BTreeSet::new(),
        }
    }

    /// A writer into an empty directory.
    pub fn directory(root: PathBuf) -> Self {
        Self::Directory { root, file: None }
    }

    /// Begins a file of `size` bytes, in directories that are made as needed.
    pub fn begin(&mut self, name: &str, size: u64) -> io::Result<()> {
        match self {
            Self::Archive {
                archive,
                directories,
            } => {
                for (end, _) in name.match_indices('/') {
                    let directory = &name[..=end];
                    if directories.insert(directory.to_owned()) {
                        archive.directory(directory)?;
                    }
                }
                archive.begin(name, size)
            }
            Self::Directory { root, file } => {
                let path = root.join(name);
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent)?;
                }
                *file = Some(File::create_new(path)?);
                Ok(())
            }
        }
    }

    /// Writes some bytes of the file.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Archive { archive, .. } => archive.write(bytes),
            Self::Directory { file, .. } => {
                let file = file.as_mut().ok_or(io::ErrorKind::InvalidInput)?;
                file.write_all(bytes)
            }
        }
    }

    /// Ends the file.
    pub fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Archive { archive, .. } => archive.end(),
            Self::Directory { file, .. } => {
                *file = None;
                Ok(())
            }
        }
    }

    /// Adds a whole file.
    pub fn add(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.begin(name, content.len() as u64)?;
        self.write(content)?;
        self.end()
    }

    /// Ends the layout.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Self::Archive { archive, .. } => archive.finish().map(drop),
            Self::Directory { .. } => Ok(()),
        }
    }
}
