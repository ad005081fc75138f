//! Tar archives, sound or not, and gzip.

use std::io::Write;
use std::process::{Command, Stdio};

const BLOCK: usize = 512;

/// A tar archive while it is written.
#[derive(Default)]
pub struct Tar(Vec<u8>);

impl Tar {
    /// Writes a header and nothing after it.
    pub fn header(&mut self, name: &str, kind: u8, link: &str, size: u64) {
        let mut block = [0; BLOCK];
        block[..name.len()].copy_from_slice(name.as_bytes());
        if size < 1 << 33 {
            block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        } else {
            block[124] = 0x80;
            block[128..136].copy_from_slice(&size.to_be_bytes());
        }
        block[156] = kind;
        block[157..157 + link.len()].copy_from_slice(link.as_bytes());
        block[257..263].copy_from_slice(b"ustar\0");
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum::<u64>() + 8 * 32;
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend(block);
    }

    pub fn file(&mut self, name: &str, content: &[u8]) {
        self.header(name, b'0', "", content.len() as u64);
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
    }

    pub fn symlink(&mut self, name: &str, target: &str) {
        self.header(name, b'2', target, 0);
    }

    pub fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 2 * BLOCK]);
        self.0
    }

    /// Returns the archive without its end.
    pub fn unfinished(self) -> Vec<u8> {
        self.0
    }
}

/// Compresses with the program `gzip`.
pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut child = Command::new("gzip")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gzip");
    let mut input = child.stdin.take().expect("a pipe");
    let content = content.to_vec();
    let feeding = std::thread::spawn(move || input.write_all(&content));
    let output = child.wait_with_output().expect("it ends");
    feeding.join().expect("it ends").expect("written");
    output.stdout
}
