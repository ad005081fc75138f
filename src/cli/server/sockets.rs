//! The sockets to listen on: those of the service manager, or else the configured addresses.

use std::os::fd::OwnedFd;

use tarkeep::http::{Address, Listener};
use tarkeep::service_manager::{InheritedSocket, InheritedSocketError, take_sockets};

use crate::cli::error::Error;
use crate::cli::server::announce::cannot_bind;

/// Name of the sockets that are a debug port; all others are the registry's.
const DEBUG: &str = "debug";

/// Sockets that a service manager passed to this process.
#[derive(Default)]
pub(super) struct Inherited {
    main: Vec<OwnedFd>,
    debug: Vec<OwnedFd>,
}

impl Inherited {
    /// Takes them from the process. It is called before any file is opened.
    pub(super) fn take() -> Result<Self, Error> {
        let sockets = take_sockets();
        let sockets =
            sockets.map_err(|error: InheritedSocketError| Error::Other(error.to_string()))?;
        let mut inherited = Self::default();
        for InheritedSocket { name, socket } in sockets {
            if name == DEBUG {
                inherited.debug.push(socket);
            } else {
                inherited.main.push(socket);
            }
        }
        Ok(inherited)
    }

    /// Returns the registry's listener; `address` is bound if no socket was passed for it.
    pub(super) async fn main(&mut self, address: &Address) -> Result<Listener, Error> {
        let sockets = std::mem::take(&mut self.main);
        if sockets.is_empty() {
            let bound = Listener::bind(address).await;
            return bound.map_err(|error| cannot_bind(address, &error));
        }
        tracing::info!("listening on the sockets of LISTEN_FDS: http.addr and --addr do not count");
        listen_on(sockets)
    }

    /// Returns the listener of the debug port, if a socket was passed for it.
    pub(super) fn debug(&mut self) -> Result<Option<Listener>, Error> {
        let sockets = std::mem::take(&mut self.debug);
        if sockets.is_empty() {
            return Ok(None);
        }
        listen_on(sockets).map(Some)
    }
}

fn listen_on(sockets: Vec<OwnedFd>) -> Result<Listener, Error> {
    let listener = Listener::inherited(sockets);
    listener.map_err(|error| {
        Error::Other(format!(
            "cannot listen on the sockets of LISTEN_FDS: {error}; they must be TCP or Unix sockets"
        ))
    })
}
