//! Small texts in an archive: a README, a file of values.

use std::io::{self, Cursor, Read};

use super::compression::decompressed;
use super::tar::{EntryKind, TarReader};

/// Maximum size of an archive when it is decompressed, in bytes.
const LONGEST_ARCHIVE: u64 = 32 << 20;
/// Maximum number of bytes of a text that are read.
const LONGEST_TEXT: u64 = 64 << 10;

/// Text of a file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveText {
    pub name: String,
    pub text: String,
    /// True if the file goes on.
    pub is_cut: bool,
}

/// Returns the first files of an archive that have these paths below its only directory; what is no text is made one.
///
/// # Errors
/// `InvalidData` for what is no archive, or exceeds a bound.
pub fn archive_texts(archive: Vec<u8>, wanted: &[&str]) -> io::Result<Vec<ArchiveText>> {
    let input = decompressed(Box::new(Cursor::new(archive)))?;
    let mut tar = TarReader::new(input.take(LONGEST_ARCHIVE));
    let mut found: Vec<ArchiveText> = Vec::new();
    while found.len() < wanted.len()
        && let Some(entry) = tar.next()?
    {
        let Some((_, path)) = entry.name.split_once('/') else {
            continue;
        };
        let is_new = !found.iter().any(|text| text.name == path);
        if entry.kind != EntryKind::File || !wanted.contains(&path) || !is_new {
            continue;
        }
        let name = path.to_owned();
        let mut bytes = Vec::new();
        (&mut tar).take(LONGEST_TEXT).read_to_end(&mut bytes)?;
        found.push(ArchiveText {
            name,
            text: String::from_utf8_lossy(&bytes).into_owned(),
            is_cut: entry.size > LONGEST_TEXT,
        });
    }
    Ok(found)
}
