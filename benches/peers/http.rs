//! An HTTP/1.1 client that costs as little as possible next to the server it measures.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use crate::error::Result;

/// Size of a chunk of docker's stream: Go copies a body 32 KiB at a time.
const CHUNK: usize = 32 << 10;
/// Chunks handed to the kernel in one call; three slices each, below IOV_MAX.
const CHUNKS_PER_WRITE: usize = 256;
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Conn {
    stream: TcpStream,
    addr: SocketAddr,
    /// Bytes received but not consumed yet.
    held: Vec<u8>,
    ended: bool,
}

#[derive(Clone, Copy)]
pub enum Body<'a> {
    Empty,
    Whole(&'a [u8]),
    Chunked(&'a [u8]),
}

pub struct Reply {
    pub status: u16,
    pub location: Option<String>,
    pub length: Option<u64>,
    pub body: Vec<u8>,
    chunked: bool,
}

impl Reply {
    pub fn expect(self, status: u16, what: &str) -> Result<Reply> {
        if self.status == status {
            return Ok(self);
        }
        let shown = self.body.get(..300).unwrap_or(&self.body);
        let text = String::from_utf8_lossy(shown);
        Err(format!("{what} answered {}, not {status}: {text}", self.status).into())
    }
}

impl Conn {
    pub fn open(addr: SocketAddr) -> Result<Conn> {
        Ok(Conn {
            stream: connect(addr)?,
            addr,
            held: Vec::new(),
            ended: false,
        })
    }

    /// Sends one request and reads the whole reply.
    pub fn call(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Result<Reply> {
        self.send(method, target, headers, body)?;
        let mut reply = self.read_head()?;
        if method != "HEAD" {
            reply.body = self.read_body(&reply)?;
        }
        Ok(reply)
    }

    /// GETs `target`, discards the body inside the kernel and returns its length.
    pub fn get_discarding(&mut self, target: &str) -> Result<u64> {
        self.send("GET", target, &[], Body::Empty)?;
        let reply = self.read_head()?.expect(200, "GET")?;
        let length = reply.length.ok_or("GET answered without Content-Length")?;
        let held = self.held.len().min(usize::try_from(length)?);
        self.held.drain(..held);
        let mut left = length - held as u64;
        while left > 0 {
            left -= self.discard(left)?;
        }
        Ok(length)
    }

    fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Result<()> {
        if self.ended {
            *self = Conn::open(self.addr)?;
        }
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.addr);
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &match body {
            Body::Empty if method == "GET" || method == "HEAD" => String::new(),
            Body::Empty => "Content-Length: 0\r\n".to_owned(),
            Body::Whole(bytes) => format!("Content-Length: {}\r\n", bytes.len()),
            Body::Chunked(_) => "Transfer-Encoding: chunked\r\n".to_owned(),
        };
        head += "\r\n";
        let sent = match body {
            Body::Empty => self.stream.write_all(head.as_bytes()),
            Body::Whole(bytes) => write_all(
                &mut self.stream,
                &mut [IoSlice::new(head.as_bytes()), IoSlice::new(bytes)],
            ),
            Body::Chunked(bytes) => self
                .stream
                .write_all(head.as_bytes())
                .and_then(|()| write_chunked(&mut self.stream, bytes)),
        };
        match sent {
            // a server that rejects a request closes early, and its reply says why
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
                ) =>
            {
                self.ended = true;
                Ok(())
            }
            other => Ok(other?),
        }
    }

    fn read_head(&mut self) -> Result<Reply> {
        let end = loop {
            if let Some(at) = find(&self.held, b"\r\n\r\n") {
                break at + 4;
            }
            self.fill()?;
        };
        let head: Vec<u8> = self.held.drain(..end).collect();
        let head = String::from_utf8(head)?;
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|code| code.parse().ok())
            .ok_or("a reply without a status line")?;
        let mut reply = Reply {
            status,
            location: None,
            length: None,
            body: Vec::new(),
            chunked: false,
        };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => reply.length = Some(value.parse()?),
                "location" => reply.location = Some(value.to_owned()),
                "transfer-encoding" => reply.chunked = value.eq_ignore_ascii_case("chunked"),
                "connection" => self.ended |= value.eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
        Ok(reply)
    }

    fn read_body(&mut self, reply: &Reply) -> Result<Vec<u8>> {
        if reply.status == 204 {
            return Ok(Vec::new());
        }
        if reply.chunked {
            return self.read_chunks();
        }
        let length = reply.length.ok_or("a reply of unknown length")?;
        self.take(usize::try_from(length)?)
    }

    fn read_chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line_end = loop {
                if let Some(at) = find(&self.held, b"\r\n") {
                    break at;
                }
                self.fill()?;
            };
            let line = self.take(line_end + 2)?;
            let size = std::str::from_utf8(&line)?
                .split(';')
                .next()
                .unwrap_or("")
                .trim();
            let size = usize::from_str_radix(size, 16)?;
            body.extend(self.take(size)?);
            self.take(2)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    /// Reads exactly `length` bytes, those already held first.
    fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        let rest = self.held.split_off(length.min(self.held.len()));
        let mut bytes = std::mem::replace(&mut self.held, rest);
        let have = bytes.len();
        bytes.resize(length, 0);
        self.stream.read_exact(&mut bytes[have..])?;
        Ok(bytes)
    }

    fn fill(&mut self) -> Result<()> {
        let mut buffer = [0; 16 << 10];
        let got = self.stream.read(&mut buffer)?;
        if got == 0 {
            return Err("the server closed the connection".into());
        }
        self.held.extend_from_slice(&buffer[..got]);
        Ok(())
    }

    /// Drops up to `left` received bytes without copying them out of the kernel.
    fn discard(&self, left: u64) -> Result<u64> {
        let most = left.min(1 << 30) as usize;
        // SAFETY: with MSG_TRUNC a TCP socket drops the bytes and never touches the buffer.
        let got = unsafe {
            libc::recv(
                self.stream.as_raw_fd(),
                std::ptr::null_mut(),
                most,
                libc::MSG_TRUNC,
            )
        };
        match got {
            0 => Err("the body ended early".into()),
            got if got > 0 => Ok(got as u64),
            _ => Err(io::Error::last_os_error().into()),
        }
    }
}

fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|at| at == pattern)
}

fn write_all(stream: &mut TcpStream, mut slices: &mut [IoSlice]) -> io::Result<()> {
    while !slices.is_empty() {
        match stream.write_vectored(slices) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(sent) => IoSlice::advance_slices(&mut slices, sent),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn write_chunked(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let full = format!("{CHUNK:x}\r\n");
    for group in bytes.chunks(CHUNK * CHUNKS_PER_WRITE) {
        let last = format!("{:x}\r\n", group.len() % CHUNK);
        let mut slices = Vec::with_capacity(3 * CHUNKS_PER_WRITE);
        for chunk in group.chunks(CHUNK) {
            let size = if chunk.len() == CHUNK { &full } else { &last };
            slices.push(IoSlice::new(size.as_bytes()));
            slices.push(IoSlice::new(chunk));
            slices.push(IoSlice::new(b"\r\n"));
        }
        write_all(stream, &mut slices)?;
    }
    stream.write_all(b"0\r\n\r\n")
}
