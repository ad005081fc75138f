//! The content of an earlier export: its digests, without the bytes.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::export::archive::{BLOCK, KIND, Kind, NAME, SIZE, padding};
use crate::export::error::Error;
use crate::files::regular_file::{self, Links};
use crate::oci::layout::{MARK_FILE, digest_at};
use crate::oci::{Algorithm, Digest};

/// Maximum length of a long name in an archive, in bytes.
const LONGEST_NAME: u64 = 4096;

/// An earlier export.
pub struct EarlierExport {
    path: PathBuf,
    digests: HashSet<Digest>,
}

impl EarlierExport {
    /// Reads which content an export has: a directory or an archive.
    ///
    /// # Errors
    /// It is no layout, or an archive that was cut off.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let read = if path.is_dir() {
            in_directory(path)
        } else {
            in_archive(path)
        };
        let digests = read.map_err(|problem| Error::Earlier {
            path: path.to_owned(),
            problem: problem.to_string(),
        })?;
        Ok(Self {
            path: path.to_owned(),
            digests,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn digests(&self) -> impl Iterator<Item = &Digest> {
        self.digests.iter()
    }
}

fn no_layout() -> io::Error {
    io::Error::other(format!("it has no file {MARK_FILE}"))
}

fn in_directory(root: &Path) -> io::Result<HashSet<Digest>> {
    if !root.join(MARK_FILE).is_file() {
        return Err(no_layout());
    }
    let mut digests = HashSet::new();
    for algorithm in Algorithm::ALL {
        let folder = format!("blobs/{}", algorithm.as_str());
        let entries = match fs::read_dir(root.join(&folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let name = entry?.file_name();
            let path = format!("{folder}/{}", name.to_string_lossy());
            digests.extend(digest_at(&path));
        }
    }
    Ok(digests)
}

fn in_archive(path: &Path) -> io::Result<HashSet<Digest>> {
    let file = regular_file::open(path, File::options().read(true), Links::Follow)?;
    let end = file.metadata()?.len();
    let mut file = BufReader::new(file);
    let (mut digests, mut has_mark, mut long_name) = (HashSet::new(), false, None);
    let mut position = 0;
    let cut_off = || io::Error::other("it is cut off");
    loop {
        let mut header = [0; BLOCK];
        file.read_exact(&mut header).map_err(|_| cut_off())?;
        position += BLOCK as u64;
        if header == [0; BLOCK] {
            break;
        }
        let size = size_of(&header).ok_or_else(|| io::Error::other("it is no tar archive"))?;
        let whole = size.saturating_add(padding(size) as u64);
        position = end.min(position.saturating_add(whole));
        if position == end {
            // an archive ends with empty blocks
            return Err(cut_off());
        }
        if header[KIND] == Kind::LongName.letter() {
            let mut name = Vec::new();
            (&mut file)
                .take(size.min(LONGEST_NAME))
                .read_to_end(&mut name)?;
            long_name = Some(text(&name));
        } else {
            let name = long_name.take().unwrap_or_else(|| text(&header[NAME]));
            let name = name.strip_prefix("./").unwrap_or(&name);
            has_mark |= name == MARK_FILE;
            digests.extend(digest_at(name));
        }
        file.seek(SeekFrom::Start(position))?;
    }
    if has_mark {
        Ok(digests)
    } else {
        Err(no_layout())
    }
}

/// Reads a size: octal digits, or a number in base 256.
fn size_of(header: &[u8; BLOCK]) -> Option<u64> {
    let field = &header[SIZE];
    if field[0] & 0x80 != 0 {
        return Some(u64::from_be_bytes(*field.last_chunk()?));
    }
    let digits = text(field);
    u64::from_str_radix(digits.trim(), 8).ok()
}

/// Reads text up to a zero byte.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&field[..end.unwrap_or(field.len())]).into_owned()
}
