//! A load generator of one thread with epoll, for machines without `wrk`.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::consts::MANIFEST_TYPE;
use crate::error::Result;

const READ: usize = 64 << 10;

/// Requests that a load generator made, and the time they took.
pub struct Load {
    pub requests: u64,
    pub seconds: f64,
}

/// A connection with one request in flight.
struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

pub fn run(addr: SocketAddr, target: &str, connections: usize, seconds: u64) -> Result<Load> {
    let request =
        format!("GET {target} HTTP/1.1\r\nHost: {addr}\r\nAccept: {MANIFEST_TYPE}\r\n\r\n");
    let epoll = new_epoll()?;
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds);
    let mut clients = Vec::new();
    for index in 0..connections {
        let mut stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        watch(&epoll, &stream, index as u64)?;
        stream.write_all(request.as_bytes())?;
        clients.push(Client {
            stream,
            received: Vec::new(),
        });
    }
    let mut requests = 0;
    let mut buffer = vec![0; READ];
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; connections];
    while Instant::now() < end {
        let ready = wait(&epoll, &mut events)?;
        for event in &events[..ready] {
            let client = &mut clients[event.u64 as usize];
            if client.receive(&mut buffer)? {
                requests += 1;
                client.stream.write_all(request.as_bytes())?;
            }
        }
    }
    Ok(Load {
        requests,
        seconds: start.elapsed().as_secs_f64(),
    })
}

impl Client {
    /// Reads what has arrived; returns true if that completes the reply.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<bool> {
        match self.stream.read(buffer) {
            Ok(0) => return Err("the server closed a connection".into()),
            Ok(got) => self.received.extend_from_slice(&buffer[..got]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        match reply_length(&self.received)? {
            Some(length) if length == self.received.len() => {
                self.received.clear();
                Ok(true)
            }
            Some(length) if length < self.received.len() => Err("more than one reply came".into()),
            _ => Ok(false),
        }
    }
}

/// Returns the length of head and body, once the head is complete.
fn reply_length(received: &[u8]) -> Result<Option<usize>> {
    let Some(end) = received.windows(4).position(|at| at == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&received[..end])?;
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(format!("a reply that is not 200: {head}").into());
    }
    let length: usize = head
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .ok_or("a reply without Content-Length")?
        .1
        .trim()
        .parse()?;
    Ok(Some(end + 4 + length))
}

fn new_epoll() -> io::Result<OwnedFd> {
    // SAFETY: epoll_create1 takes flags only.
    let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn watch(epoll: &OwnedFd, stream: &TcpStream, key: u64) -> io::Result<()> {
    let mut event = libc::epoll_event {
        events: libc::EPOLLIN as u32,
        u64: key,
    };
    // SAFETY: both descriptors are open and `event` is valid.
    let status = unsafe {
        libc::epoll_ctl(
            epoll.as_raw_fd(),
            libc::EPOLL_CTL_ADD,
            stream.as_raw_fd(),
            &mut event,
        )
    };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Waits at most 100 ms and returns the number of events.
fn wait(epoll: &OwnedFd, events: &mut [libc::epoll_event]) -> io::Result<usize> {
    // SAFETY: the pointer and the length are those of one valid slice.
    let ready = unsafe {
        libc::epoll_wait(
            epoll.as_raw_fd(),
            events.as_mut_ptr(),
            events.len() as i32,
            100,
        )
    };
    match usize::try_from(ready) {
        Ok(ready) => Ok(ready),
        Err(_) => Err(io::Error::last_os_error()),
    }
}
