//! An answer of a fake registry, and what happens after it.

use serde_json::Value;

/// Bytes of an answer, and what happens after them.
pub struct Reply {
    pub head: String,
    pub body: Vec<u8>,
    pub end: End,
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
            end: End::KeepAlive,
        }
    }

    pub fn json(status: &str, headers: &str, body: &Value) -> Self {
        let headers = format!("{headers}Content-Type: application/json\r\n");
        Self::new(status, &headers, body.to_string().into_bytes())
    }
}
