//! Writer of tar archives (POSIX.1-1988 ustar, with GNU's long names and large sizes), the same bytes for the same content.

use std::io::{self, Write};

/// Size of a block, in bytes.
pub(super) const BLOCK: usize = 512;
/// Place of each field of a header, in bytes.
pub(super) const NAME: std::ops::Range<usize> = 0..100;
const MODE: std::ops::Range<usize> = 100..108;
const OWNER: std::ops::Range<usize> = 108..116;
const GROUP: std::ops::Range<usize> = 116..124;
pub(super) const SIZE: std::ops::Range<usize> = 124..136;
const TIME: std::ops::Range<usize> = 136..148;
const CHECKSUM: std::ops::Range<usize> = 148..156;
pub(super) const KIND: usize = 156;
const MAGIC: std::ops::Range<usize> = 257..265;
/// Name of the entry that holds the long name of the next one.
const LONG_LINK: &str = "././@LongLink";
/// Largest size that fits its field as octal digits, in bytes.
const LARGEST_OCTAL: u64 = 0o77_777_777_777;

/// Kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    LongName,
}

impl Kind {
    pub(super) fn letter(self) -> u8 {
        match self {
            Self::File => b'0',
            Self::Directory => b'5',
            Self::LongName => b'L',
        }
    }
}

/// An archive in the making. All entries have the same owner and time.
pub(super) struct ArchiveWriter<W> {
    out: W,
    /// Bytes of the present file that are still to come.
    rest: u64,
    padding: usize,
}

impl<W: Write> ArchiveWriter<W> {
    pub fn new(out: W) -> Self {
        Self {
            out,
            rest: 0,
            padding: 0,
        }
    }

    /// Adds a directory; its name ends with a slash.
    pub fn directory(&mut self, name: &str) -> io::Result<()> {
        self.header(name, Kind::Directory, 0)
    }

    /// Begins a file of `size` bytes.
    pub fn begin(&mut self, name: &str, size: u64) -> io::Result<()> {
        self.header(name, Kind::File, size)?;
        self.rest = size;
        self.padding = padding(size);
        Ok(())
    }

    /// Writes some bytes of the file.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let rest = self.rest.checked_sub(bytes.len() as u64);
        self.rest = rest.ok_or(io::ErrorKind::InvalidInput)?;
        self.out.write_all(bytes)
    }

    /// Ends the file.
    pub fn end(&mut self) -> io::Result<()> {
        if self.rest > 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.out.write_all(&[0; BLOCK][..self.padding])
    }

    /// Ends the archive.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn header(&mut self, name: &str, kind: Kind, size: u64) -> io::Result<()> {
        if name.len() > NAME.len() {
            let length = name.len() as u64 + 1;
            self.out
                .write_all(&header(LONG_LINK, Kind::LongName, length))?;
            self.out.write_all(name.as_bytes())?;
            self.out.write_all(&[0])?;
            self.out.write_all(&[0; BLOCK][..padding(length)])?;
        }
        self.out.write_all(&header(name, kind, size))
    }
}

fn header(name: &str, kind: Kind, size: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |place: std::ops::Range<usize>, bytes: &[u8]| {
        let length = bytes.len().min(place.len());
        block[place.start..place.start + length].copy_from_slice(&bytes[..length]);
    };
    put(NAME, name.as_bytes());
    let mode: &[u8] = match kind {
        Kind::Directory => b"0000755\0",
        Kind::File | Kind::LongName => b"0000644\0",
    };
    put(MODE, mode);
    put(OWNER, b"0000000\0");
    put(GROUP, b"0000000\0");
    if size <= LARGEST_OCTAL {
        put(SIZE, format!("{size:011o}\0").as_bytes());
    } else {
        // GNU: a set first bit, then the number in base 256
        let mut number = [0; 12];
        number[0] = 0x80;
        number[4..].copy_from_slice(&size.to_be_bytes());
        put(SIZE, &number);
    }
    put(TIME, b"00000000000\0");
    // counted as spaces
    put(CHECKSUM, b"        ");
    put(KIND..KIND + 1, &[kind.letter()]);
    put(MAGIC, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    let sum = format!("{sum:06o}\0 ");
    block[CHECKSUM].copy_from_slice(sum.as_bytes());
    block
}

/// Returns the number of bytes that fill the last block of a file.
pub(super) fn padding(size: u64) -> usize {
    let block = BLOCK as u64;
    usize::try_from((block - size % block) % block).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GNU tar is on every machine that runs these tests.
    fn listed(archive: &[u8]) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tar");
        std::fs::write(&path, archive).unwrap();
        let mut tar = std::process::Command::new("tar");
        let tar = tar.args(["--utc", "--numeric-owner", "-tvf"]).arg(&path);
        let output = tar.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn tar_reads_what_is_written() {
        let long = format!("blobs/sha512/{}", "a".repeat(128));
        let mut archive = ArchiveWriter::new(Vec::new());
        archive.directory("blobs/").unwrap();
        for (name, content) in [
            ("short", &b"content"[..]),
            (&long, b""),
            ("whole", &[7; 512]),
        ] {
            archive.begin(name, content.len() as u64).unwrap();
            content
                .chunks(3)
                .for_each(|some| archive.write(some).unwrap());
            archive.end().unwrap();
        }
        let lines = listed(&archive.finish().unwrap());
        let names: Vec<_> = lines
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let line = |name: &str, size| format!("-rw-r--r-- 0/0 {size} 1970-01-01 00:00 {name}");
        assert_eq!(
            names,
            [
                "drwxr-xr-x 0/0 0 1970-01-01 00:00 blobs/".to_owned(),
                line("short", 7),
                line(&long, 0),
                line("whole", 512)
            ]
        );
    }

    #[test]
    fn large_sizes_are_read_too() {
        let size = LARGEST_OCTAL + 1;
        let mut archive = header("large", Kind::File, size).to_vec();
        archive.extend([0; 1024]);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tar");
        std::fs::write(&path, &archive).unwrap();
        let output = std::process::Command::new("tar")
            .arg("-tvf")
            .arg(&path)
            .output()
            .unwrap();
        // the content is missing, which tar says after the line
        let lines = String::from_utf8(output.stdout).unwrap();
        assert!(lines.contains(&size.to_string()), "{lines}");
    }

    #[test]
    fn a_file_has_the_size_that_was_announced() {
        let mut archive = ArchiveWriter::new(Vec::new());
        archive.begin("a", 2).unwrap();
        archive.write(b"1").unwrap();
        assert!(archive.end().is_err());
        assert!(archive.write(b"23").is_err());
    }
}
