//! Compressed archives, told by their first bytes.

use std::io::{self, ErrorKind, Read};

use flate2::read::MultiGzDecoder;

/// Number of bytes that tell the kind.
const PREFIX: usize = 6;

/// Kind of content by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) enum Compression {
    None,
    Gzip,
    Zstd,
    /// A kind that is not read here, by the name of its program.
    Other(&'static str),
}

impl Compression {
    /// Tells the kind.
    pub fn of(content: &[u8]) -> Self {
        match content {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Other("xz"),
            [b'B', b'Z', b'h', ..] => Self::Other("bzip2"),
            _ => Self::None,
        }
    }
}

/// Returns the content of an archive that may be compressed.
///
/// # Errors
/// `InvalidData` for a compression that is not read here, with the remedy; failed reads.
pub(super) fn decompressed(mut input: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut prefix = Vec::with_capacity(PREFIX);
    (&mut input).take(PREFIX as u64).read_to_end(&mut prefix)?;
    let kind = Compression::of(&prefix);
    let whole = io::Cursor::new(prefix).chain(input);
    let program = match kind {
        Compression::None => return Ok(Box::new(whole)),
        Compression::Gzip => return Ok(Box::new(MultiGzDecoder::new(io::BufReader::new(whole)))),
        Compression::Zstd => "zstd",
        Compression::Other(program) => program,
    };
    Err(io::Error::new(
        ErrorKind::InvalidData,
        format!(
            "it is compressed with {program}: decompress it first, as in {program} -dc FILE | registry import -"
        ),
    ))
}
