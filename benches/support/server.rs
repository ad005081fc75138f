//! A running server, and keep-alive connections to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server of this build; killed when dropped.
pub struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts on a data directory and any port of loopback, without background collection.
    pub fn start(directory: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_registry"));
        command
            .args(["serve", "--addr", "127.0.0.1:0", "--data-dir"])
            .arg(directory)
            .env("REGISTRY_GC_ENABLED", "false")
            .env("REGISTRY_STORAGE_RESERVE", "0")
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut line)
            .expect("a line");
        let address = line
            .split_once("http://")
            .and_then(|(_, rest)| rest.split(',').next())
            .expect("an address")
            .to_owned();
        Self { child, address }
    }

    pub fn connect(&self) -> Connection {
        let stream = TcpStream::connect(&self.address).expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        Connection(BufReader::new(stream))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A keep-alive connection.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Sends a request, reads the whole reply and returns its status.
    pub fn request(&mut self, method: &str, path: &str, media_type: &str, body: &[u8]) -> u16 {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let stream = self.0.get_mut();
        stream
            .write_all(&[head.as_bytes(), body].concat())
            .expect("the request is sent");
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("a header");
            if let Some(rest) = line.strip_prefix("HTTP/1.1 ") {
                status = rest[..3].parse().expect("a status");
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().expect("a length");
            }
            if line == "\r\n" {
                break;
            }
        }
        self.0.read_exact(&mut vec![0; length]).expect("a body");
        status
    }
}
