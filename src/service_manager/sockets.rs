//! Listening sockets that a service manager opened for this process (`sd_listen_fds(3)`).

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::SocketType;
use rustix::net::sockopt::{socket_acceptconn, socket_type};

use crate::sys;

/// First descriptor that is passed.
const FIRST: RawFd = 3;
/// Name of a socket without one.
const UNNAMED: &str = "unknown";

/// Listening socket, and the name that its unit gave it.
#[derive(Debug)]
pub struct InheritedSocket {
    pub name: String,
    pub socket: OwnedFd,
}

/// Reason why a passed socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InheritedSocketError {
    #[error("LISTEN_FDS is '{0}', which is no number of sockets: unset it")]
    Count(String),
    #[error("cannot use the socket '{name}' (descriptor {number}) of LISTEN_FDS: {cause}")]
    Unusable {
        name: String,
        number: RawFd,
        cause: io::Error,
    },
    #[error(
        "the socket '{name}' (descriptor {number}) of LISTEN_FDS does not listen for streams: write ListenStream= and Accept=no in its unit"
    )]
    NotListening { name: String, number: RawFd },
}

/// Takes the sockets that were passed to this process, in their order. Later calls return none.
///
/// # Errors
/// Any descriptor that is no listening stream socket, and a malformed `LISTEN_FDS`.
pub fn take_sockets() -> Result<Vec<InheritedSocket>, InheritedSocketError> {
    static ARE_TAKEN: AtomicBool = AtomicBool::new(false);
    let variable = |name| std::env::var(name).unwrap_or_default();
    let is_for_us = variable("LISTEN_PID").parse() == Ok(std::process::id());
    let count = variable("LISTEN_FDS");
    if !is_for_us || count.is_empty() || ARE_TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let Ok(count) = count.parse::<u16>() else {
        return Err(InheritedSocketError::Count(count));
    };
    let names = variable("LISTEN_FDNAMES");
    let names = names.split(':').filter(|name| !name.is_empty());
    let names = names.chain(std::iter::repeat(UNNAMED));
    (FIRST..FIRST + RawFd::from(count))
        .zip(names)
        .map(|(number, name)| take(number, name.to_owned()))
        .collect()
}

fn take(number: RawFd, name: String) -> Result<InheritedSocket, InheritedSocketError> {
    let socket = match sys::take_inherited(number) {
        Ok(socket) => socket,
        Err(cause) => {
            return Err(InheritedSocketError::Unusable {
                name,
                number,
                cause,
            });
        }
    };
    let listens =
        socket_type(&socket) == Ok(SocketType::STREAM) && socket_acceptconn(&socket) == Ok(true);
    if !listens {
        return Err(InheritedSocketError::NotListening { name, number });
    }
    Ok(InheritedSocket { name, socket })
}
