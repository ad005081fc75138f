//! Reading of a tar archive as it arrives, within bounds of memory.
//!
//! The forms that archives of images have: ustar, pax and GNU's long names and sizes. Names are only compared, never opened.

use std::io::{self, ErrorKind, Read};

const BLOCK: usize = 512;
/// Maximum number of headers, of which each takes memory or time.
const MAX_HEADERS: u64 = 200_000;
/// Maximum size of an extended header, in bytes.
const MAX_EXTENSION: u64 = 64 << 10;
/// Maximum length of a name, in bytes.
const MAX_NAME: usize = 4096;

/// A tar archive; reads as the content of the entry that [`Self::next`] returned last.
pub(super) struct TarReader<R> {
    input: R,
    /// Size that the entry states, in bytes.
    size: u64,
    /// Bytes of the entry that were not read yet.
    left: u64,
    /// Bytes between the entry and the next header.
    padding: u64,
    headers: u64,
    is_done: bool,
}

/// An entry of an archive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Name without a leading `./`.
    pub name: String,
    /// In bytes.
    pub size: u64,
    pub kind: EntryKind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    File,
    /// A link, symbolic or not, to the text given.
    Symlink(String),
    Hardlink(String),
    /// A directory, or something that no image has.
    Other,
}

/// Values of extended headers, which replace those of the next one.
#[derive(Default)]
struct Extension {
    name: Option<String>,
    link: Option<String>,
    size: Option<u64>,
}

impl<R: Read> TarReader<R> {
    pub fn new(input: R) -> Self {
        Self {
            input,
            size: 0,
            left: 0,
            padding: 0,
            headers: 0,
            is_done: false,
        }
    }

    /// Goes on to the next entry; `None` after the last one.
    ///
    /// # Errors
    /// `InvalidData` for what is no archive, is cut off, or exceeds a bound.
    pub fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut extension = Extension::default();
        loop {
            self.skip_entry()?;
            let Some(block) = self.header()? else {
                return Ok(None);
            };
            let size = number(&block[124..136])?;
            self.expect(size)?;
            match block[156] {
                b'L' => extension.name = Some(text(&self.extended()?)?),
                b'K' => extension.link = Some(text(&self.extended()?)?),
                b'x' => self.pax(&mut extension)?,
                b'S' => return Err(invalid("it has a sparse file, which no image has")),
                _ => return self.entry(&block, size, extension).map(Some),
            }
        }
    }

    /// Reads a header; `None` at the end of the archive.
    fn header(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        if self.is_done {
            return Ok(None);
        }
        let mut block = [0; BLOCK];
        self.input.read_exact(&mut block).map_err(cut_off)?;
        if block.iter().all(|byte| *byte == 0) {
            self.is_done = true;
            return Ok(None);
        }
        self.headers += 1;
        if self.headers > MAX_HEADERS {
            return Err(invalid("it has more than 200,000 entries"));
        }
        let sum = |range: &[u8]| range.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        let actual = sum(&block[..148]) + 8 * u64::from(b' ') + sum(&block[156..]);
        if number(&block[148..156])? != actual {
            return Err(invalid("it is no tar archive, or damaged"));
        }
        Ok(Some(block))
    }

    fn expect(&mut self, size: u64) -> io::Result<()> {
        let whole = size
            .checked_next_multiple_of(BLOCK as u64)
            .ok_or_else(|| invalid("it has an entry of impossible size"))?;
        (self.size, self.left) = (size, size);
        self.padding = whole - size;
        Ok(())
    }

    fn entry(&mut self, block: &[u8; BLOCK], size: u64, extension: Extension) -> io::Result<Entry> {
        let size = extension.size.unwrap_or(size);
        let name = match extension.name {
            Some(name) => name,
            None => named(block)?,
        };
        let link = match extension.link {
            Some(link) => link,
            None => text(&block[157..257])?,
        };
        let kind = match block[156] {
            b'0' | b'7' | 0 if !name.ends_with('/') => EntryKind::File,
            b'1' => EntryKind::Hardlink(link),
            b'2' => EntryKind::Symlink(link),
            _ => EntryKind::Other,
        };
        // links have no content, whatever size they state
        let content = match kind {
            EntryKind::Hardlink(_) | EntryKind::Symlink(_) => 0,
            EntryKind::File | EntryKind::Other => size,
        };
        self.expect(content)?;
        let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
        Ok(Entry {
            name,
            size: content,
            kind,
        })
    }

    /// Reads the content of an extended header.
    fn extended(&mut self) -> io::Result<Vec<u8>> {
        if self.left > MAX_EXTENSION {
            return Err(invalid("it has a header of more than 64 KiB"));
        }
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads a pax header: records `LENGTH KEY=VALUE\n`.
    fn pax(&mut self, extension: &mut Extension) -> io::Result<()> {
        let bytes = self.extended()?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (record, after) =
                pax_record(rest).ok_or_else(|| invalid("a pax header is damaged"))?;
            rest = after;
            let Some((key, value)) = record.split_once('=') else {
                return Err(invalid("a pax header is damaged"));
            };
            match key {
                "path" => extension.name = Some(text(value.as_bytes())?),
                "linkpath" => extension.link = Some(text(value.as_bytes())?),
                "size" => {
                    let size = value.parse();
                    extension.size = Some(size.map_err(|_| invalid("a pax header is damaged"))?);
                }
                key if key.starts_with("GNU.sparse") => {
                    return Err(invalid("it has a sparse file, which no image has"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads the rest of the entry, and what lies between it and the next header.
    fn skip_entry(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink())?;
        let padding = std::mem::take(&mut self.padding);
        self.skip(padding)
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let skipped = io::copy(&mut (&mut self.input).take(bytes), &mut io::sink())?;
        if skipped < bytes {
            return Err(cut_off(ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }
}

impl<R: Read> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let length = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let read = self.input.read(&mut buffer[..length])?;
        if read == 0 {
            let (stated, held) = (self.size, self.size - self.left);
            return Err(invalid(&format!(
                "it ends early: its last entry states a size of {stated} bytes, but holds {held}"
            )));
        }
        self.left -= read as u64;
        Ok(read)
    }
}

/// Splits the first record off a pax header.
fn pax_record(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let space = bytes.iter().take(8).position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    if length <= space + 1 || length > bytes.len() {
        return None;
    }
    let record = std::str::from_utf8(&bytes[space + 1..length]).ok()?;
    Some((record.strip_suffix('\n')?, &bytes[length..]))
}

/// Returns the name in a header, with ustar's prefix.
fn named(block: &[u8; BLOCK]) -> io::Result<String> {
    let name = text(&block[..100])?;
    // GNU's format has other things in the prefix's place
    let prefix = if &block[257..263] == b"ustar\0" {
        text(&block[345..500])?
    } else {
        String::new()
    };
    Ok(if prefix.is_empty() {
        name
    } else {
        format!("{prefix}/{name}")
    })
}

/// Reads a text up to its first NUL.
fn text(bytes: &[u8]) -> io::Result<String> {
    let end = bytes.iter().position(|byte| *byte == 0);
    let bytes = &bytes[..end.unwrap_or(bytes.len())];
    if bytes.len() > MAX_NAME {
        return Err(invalid("it has a name of more than 4 KiB"));
    }
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// Reads a number: octal digits, or GNU's binary form, which begins with a high bit.
fn number(field: &[u8]) -> io::Result<u64> {
    let damaged = || invalid("it is no tar archive, or damaged");
    if field[0] & 0x80 != 0 {
        let (high, low) = field.split_at(field.len() - 8);
        // a checksum, of eight bytes, has no such form
        let is_small = matches!(high, [0x80, zeros @ ..] if zeros.iter().all(|byte| *byte == 0));
        let bytes = <[u8; 8]>::try_from(low).map_err(|_| damaged())?;
        return Some(u64::from_be_bytes(bytes))
            .filter(|_| is_small)
            .ok_or_else(damaged);
    }
    let digits = std::str::from_utf8(field).map_err(|_| damaged())?;
    let digits = digits.trim_matches(['\0', ' ']);
    if digits.is_empty() {
        return Ok(0);
    }
    u64::from_str_radix(digits, 8).map_err(|_| damaged())
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}

fn cut_off(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => invalid("it ends early"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an entry with its header's checksum.
    fn entry(name: &[u8], kind: u8, link: &[u8], size: &[u8], content: &[u8]) -> Vec<u8> {
        let mut block = [0; BLOCK];
        block[..name.len()].copy_from_slice(name);
        block[124..124 + size.len()].copy_from_slice(size);
        block[156] = kind;
        block[157..157 + link.len()].copy_from_slice(link);
        block[257..263].copy_from_slice(b"ustar\0");
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum::<u64>() + 8 * 32;
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        let mut bytes = block.to_vec();
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    fn file(name: &[u8], content: &[u8]) -> Vec<u8> {
        let size = format!("{:011o}", content.len());
        entry(name, b'0', b"", size.as_bytes(), content)
    }

    fn read(archive: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, String> {
        let mut reader = TarReader::new(archive);
        let mut found = Vec::new();
        while let Some(entry) = reader.next().map_err(|error| error.to_string())? {
            let mut content = Vec::new();
            let read = reader.read_to_end(&mut content);
            read.map_err(|error| error.to_string())?;
            found.push((entry, content));
        }
        Ok(found)
    }

    const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

    #[test]
    fn files_links_and_long_names_are_read() {
        let long = "d/".repeat(100) + "name";
        let pax = format!("{} path={long}\n10 size=5\n", 6 + 4 + long.len());
        let archive = [
            file(b"./a", b"first"),
            entry(b"dir/", b'5', b"", b"0", b""),
            entry(b"link", b'2', b"../a", b"7", b""),
            file(b"@LongLink", b""),
            entry(
                b"x",
                b'L',
                b"",
                format!("{:o}", long.len()).as_bytes(),
                long.as_bytes(),
            ),
            file(b"short", b"second"),
            entry(
                b"x",
                b'x',
                b"",
                format!("{:o}", pax.len()).as_bytes(),
                pax.as_bytes(),
            ),
            entry(b"short", b'0', b"", b"0", b"third"),
            entry(
                b"big",
                b'0',
                b"",
                &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3],
                b"abc",
            ),
            END.to_vec(),
            b"anything".to_vec(),
        ]
        .concat();
        let found = read(&archive).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|(entry, content)| (&*entry.name, entry.size, &content[..]))
            .collect();
        assert_eq!(
            names,
            [
                ("a", 5, &b"first"[..]),
                ("dir/", 0, b""),
                ("link", 0, b""),
                ("@LongLink", 0, b""),
                (&long, 6, b"second"),
                (&long, 5, b"third"),
                ("big", 3, b"abc"),
            ]
        );
        assert_eq!(found[2].0.kind, EntryKind::Symlink("../a".to_owned()));
    }

    #[test]
    fn archives_made_to_hurt_are_refused() {
        let endless = file(b"a", b"");
        let mut wrong = endless.clone();
        wrong[0] = b'b';
        let mut binary_sum = endless.clone();
        binary_sum[148] = 0x80;
        let large = entry(b"x", b'x', b"", b"77777777777", b"");
        let binary = |high: u8| {
            let size = [
                0x80, high, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ];
            entry(b"a", b'0', b"", &size, b"")
        };
        let pax = |text: &[u8]| {
            entry(
                b"x",
                b'x',
                b"",
                format!("{:o}", text.len()).as_bytes(),
                text,
            )
        };
        for (archive, reason) in [
            (b"no archive".repeat(100), "no tar archive"),
            (wrong, "no tar archive"),
            (binary_sum, "no tar archive"),
            (endless.repeat(3), "ends early"),
            (file(b"a", &[1; 2000])[..1000].to_vec(), "ends early"),
            (large, "more than 64 KiB"),
            (binary(0), "impossible size"),
            (binary(1), "no tar archive"),
            (entry(b"a", b'S', b"", b"0", b""), "sparse"),
            (pax(b"30 path=a\n"), "pax header is damaged"),
            (pax(b"0 path=a\n"), "pax header is damaged"),
            (pax(b"11 size=-1\n"), "pax header is damaged"),
            (pax(b"22 GNU.sparse.major=1\n"), "sparse"),
            (endless.repeat(200_001), "more than 200,000 entries"),
        ] {
            let error = read(&archive).unwrap_err();
            assert!(error.contains(reason), "{error}, not {reason}");
        }
    }
}
