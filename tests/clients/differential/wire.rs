//! Requests as they are written, and answers with nothing left out.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Default)]
pub struct Reply {
    /// None where the server closed the connection without a word.
    pub status: Option<u16>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }
}

/// End of what a client sends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The connection stays as it is.
    Open,
    /// The client half closes the connection, because the server would wait for more.
    HalfClosed,
}

/// Sends `bytes` on a connection of their own, and returns what comes back until the server closes.
pub fn exchange(address: &str, bytes: &[u8], end: End, is_head: bool) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // a server may refuse before it has read everything
    let _ = stream.write_all(bytes);
    if end == End::HalfClosed {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    let mut chunk = [0; 16 << 10];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => answer.extend(&chunk[..length]),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => {
                panic!("the connection stays open")
            }
            // reset, after what was read so far
            Err(_) => break,
        }
    }
    parse(&answer, is_head)
}

fn parse(answer: &[u8], is_head: bool) -> Reply {
    let Some(end) = find(answer, b"\r\n\r\n") else {
        return Reply {
            body: answer.to_owned(),
            ..Reply::default()
        };
    };
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let rest = &answer[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|code| code.parse().ok());
    if status.is_some_and(|status: u16| status < 200) {
        return parse(rest, is_head);
    }
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let mut reply = Reply {
        status,
        headers,
        body: rest.to_owned(),
    };
    if reply.header("transfer-encoding") == Some("chunked") {
        reply.body = unchunked(rest);
    }
    if is_head && reply.status.is_some_and(|status| status < 400) {
        assert!(
            reply.body.is_empty(),
            "the answer to a HEAD has a body: {reply:?}"
        );
    }
    reply
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = find(rest, b"\r\n") {
        let size = std::str::from_utf8(&rest[..end])
            .ok()
            .and_then(|size| usize::from_str_radix(size, 16).ok())
            .unwrap_or_default();
        let (from, to) = (end + 2, end + 2 + size);
        if size == 0 || rest.len() < to + 2 {
            break;
        }
        body.extend(&rest[from..to]);
        rest = &rest[to + 2..];
    }
    body
}

fn find(bytes: &[u8], expected: &[u8]) -> Option<usize> {
    bytes
        .windows(expected.len())
        .position(|window| window == expected)
}
