//! An answer of a fake registry, and what happens after it.

use std::sync::mpsc;

use serde_json::Value;

/// Bytes of an answer, and what happens after them.
pub struct Reply {
    pub head: String,
    pub body: Vec<u8>,
    pub pause: Option<Pause>,
    pub end: End,
}

/// A pause in a body, until a test ends it.
pub struct Pause {
    /// Bytes before it.
    pub at: usize,
    pub end: mpsc::Receiver<()>,
}

/// End of an answer, after its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The next request.
    KeepAlive,
    Reset,
    Stall,
}

impl Reply {
    pub fn new(status: &str, headers: &str, body: Vec<u8>) -> Self {
        Self {
            head: format!(
                "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n",
                body.len()
            ),
            body,
            pause: None,
            end: End::KeepAlive,
        }
    }

    /// Sends the body without its length, in chunks.
    pub fn in_chunks(mut self) -> Self {
        let length = format!("Content-Length: {}\r\n", self.body.len());
        self.head = self.head.replace(&length, "Transfer-Encoding: chunked\r\n");
        let mut chunks = Vec::new();
        for chunk in self.body.chunks(10_000) {
            chunks.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            chunks.extend_from_slice(chunk);
            chunks.extend_from_slice(b"\r\n");
        }
        chunks.extend_from_slice(b"0\r\n\r\n");
        self.body = chunks;
        self
    }

    pub fn json(status: &str, headers: &str, body: &Value) -> Self {
        let headers = format!("{headers}Content-Type: application/json\r\n");
        Self::new(status, &headers, body.to_string().into_bytes())
    }
}
