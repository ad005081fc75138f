//! A registry with one blob, behind a line of limited speed.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

/// Bytes that are written at once.
const PIECE: usize = 64 << 10;

/// A registry with one blob.
pub struct Upstream {
    pub address: String,
    digest: String,
    line: Arc<Line>,
}

struct Line {
    blob: Vec<u8>,
    /// In bytes per second.
    rate: usize,
    sent: AtomicUsize,
    first: Mutex<Option<Instant>>,
}

/// Returns the digest of some content.
pub fn digest(content: &[u8]) -> String {
    format!(
        "sha256:{}",
        data_encoding::HEXLOWER.encode(&Sha256::digest(content))
    )
}

impl Upstream {
    pub fn start(blob: Vec<u8>, rate: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let digest = digest(&blob);
        let line = Arc::new(Line {
            blob,
            rate,
            sent: AtomicUsize::new(0),
            first: Mutex::default(),
        });
        let shared = Arc::clone(&line);
        // ends with the process
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let line = Arc::clone(&shared);
                std::thread::spawn(move || line.serve(stream));
            }
        });
        Self {
            address,
            digest,
            line,
        }
    }

    /// Returns the path of the blob in a repository.
    pub fn path(&self, repository: &str) -> String {
        format!("/v2/{repository}/blobs/{}", self.digest)
    }

    /// Forgets what was sent.
    pub fn forget(&self) {
        self.line.sent.store(0, Ordering::Relaxed);
        *self.line.first.lock().expect("a lock") = None;
    }

    /// Returns the number of bytes that were sent.
    pub fn sent(&self) -> usize {
        self.line.sent.load(Ordering::Relaxed)
    }

    /// Returns the time at which the first byte was sent.
    pub fn first_byte(&self) -> Instant {
        let first = *self.line.first.lock().expect("a lock");
        first.expect("a fetch")
    }
}

impl Line {
    /// Answers every request with the blob.
    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut head = String::new();
            while !head.ends_with("\n\r\n") {
                reader.read_line(&mut head).ok().filter(|read| *read > 0)?;
            }
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                self.blob.len()
            );
            let stream = reader.get_mut();
            stream.write_all(answer.as_bytes()).ok()?;
            let begun = Instant::now();
            for (number, piece) in self.blob.chunks(PIECE).enumerate() {
                let due = Duration::from_secs_f64((number * PIECE) as f64 / self.rate as f64);
                std::thread::sleep(due.saturating_sub(begun.elapsed()));
                let mut first = self.first.lock().ok()?;
                first.get_or_insert_with(Instant::now);
                drop(first);
                stream.write_all(piece).ok()?;
                self.sent.fetch_add(piece.len(), Ordering::Relaxed);
            }
        }
    }
}
