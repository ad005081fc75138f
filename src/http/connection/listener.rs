//! Listening sockets: TCP ports and Unix sockets.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::AddressFamily;
use rustix::net::sockopt::socket_domain;
use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::http::connection::stream::Socket;

/// Address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp(SocketAddr),
    /// Path of a Unix socket. It is created with the process's umask: whoever may write to it may connect.
    Unix(PathBuf),
}

impl Address {
    /// Reports whether other machines can reach it.
    #[must_use]
    pub fn is_open_to_network(&self) -> bool {
        matches!(self, Self::Tcp(address) if !address.ip().is_loopback())
    }

    /// Returns the address at which clients on this machine reach the server: loopback, if it listens on all addresses.
    #[must_use]
    pub fn local(&self) -> Self {
        match self {
            Self::Tcp(address) if address.ip().is_unspecified() => {
                Self::Tcp((Ipv4Addr::LOCALHOST, address.port()).into())
            }
            other => other.clone(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => path.display().fmt(formatter),
        }
    }
}

/// Listening sockets of one server: the one that it binds, or those that a service manager opened for it.
pub struct Listener {
    sockets: Vec<Bound>,
    /// Index of the socket that is asked first, so that a busy one does not keep the others waiting.
    first: AtomicUsize,
}

enum Bound {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        address: Address,
        /// Ours, if we created it.
        _file: Option<SocketFile>,
    },
}

impl Listener {
    /// Binds `address`. A socket file without a listener is replaced.
    ///
    /// # Errors
    /// Any error of the system, such as an address that is in use.
    pub async fn bind(address: &Address) -> io::Result<Self> {
        let bound = match address {
            Address::Tcp(address) => Bound::Tcp(TcpListener::bind(address).await?),
            Address::Unix(path) => {
                remove_stale(path).await?;
                Bound::Unix {
                    listener: UnixListener::bind(path)?,
                    address: address.clone(),
                    _file: Some(SocketFile::at(path)?),
                }
            }
        };
        Ok(Self::over(vec![bound]))
    }

    /// Accepts from sockets that listen already, and leaves their files. There must be at least one.
    ///
    /// # Errors
    /// `Unsupported` for a socket that is neither TCP nor Unix, and any error of the system.
    pub fn inherited(sockets: Vec<OwnedFd>) -> io::Result<Self> {
        let sockets = sockets.into_iter().map(Bound::inherited);
        Ok(Self::over(sockets.collect::<io::Result<_>>()?))
    }

    fn over(sockets: Vec<Bound>) -> Self {
        Self {
            sockets,
            first: AtomicUsize::new(0),
        }
    }

    /// Returns the addresses, with the port that the system chose if none was given.
    ///
    /// # Errors
    /// Any error of the system.
    pub fn addresses(&self) -> io::Result<Vec<Address>> {
        self.sockets.iter().map(Bound::address).collect()
    }

    /// Accepts a connection, and returns its address if it has one. `patience` returns, once there is a client, the
    /// time that writes to it may stall.
    pub(crate) async fn accept(
        &self,
        patience: impl Fn() -> Duration,
    ) -> io::Result<(Socket, Option<IpAddr>)> {
        poll_fn(|cx| self.poll_accept(cx, &patience)).await
    }

    fn poll_accept(
        &self,
        cx: &mut Context<'_>,
        patience: &impl Fn() -> Duration,
    ) -> Poll<io::Result<(Socket, Option<IpAddr>)>> {
        let (count, first) = (self.sockets.len(), self.first.load(Ordering::Relaxed));
        for index in (first..first + count).map(|index| index % count) {
            if let Poll::Ready(accepted) = self.sockets[index].poll_accept(cx, patience) {
                self.first.store(index + 1, Ordering::Relaxed);
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }
}

impl Bound {
    fn inherited(socket: OwnedFd) -> io::Result<Self> {
        match socket_domain(&socket)? {
            AddressFamily::INET | AddressFamily::INET6 => {
                let listener = std::net::TcpListener::from(socket);
                listener.set_nonblocking(true)?;
                Ok(Self::Tcp(TcpListener::from_std(listener)?))
            }
            AddressFamily::UNIX => {
                let listener = std::os::unix::net::UnixListener::from(socket);
                listener.set_nonblocking(true)?;
                let path = listener.local_addr()?.as_pathname().map(Path::to_owned);
                let address = Address::Unix(path.unwrap_or_default());
                Ok(Self::Unix {
                    listener: UnixListener::from_std(listener)?,
                    address,
                    _file: None,
                })
            }
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Self::Unix { address, .. } => Ok(address.clone()),
        }
    }

    fn poll_accept(
        &self,
        cx: &mut Context<'_>,
        patience: &impl Fn() -> Duration,
    ) -> Poll<io::Result<(Socket, Option<IpAddr>)>> {
        Poll::Ready(match self {
            Self::Tcp(listener) => ready!(listener.poll_accept(cx)).map(|(stream, client)| {
                // fails only for sockets that are closed already
                let _ = stream.set_nodelay(true);
                (Socket::tcp(stream, patience()), Some(client.ip()))
            }),
            Self::Unix { listener, .. } => ready!(listener.poll_accept(cx))
                .map(|(stream, _)| (Socket::unix(stream, patience()), None)),
        })
    }
}

/// Path of our socket, removed with it.
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            inode: inode(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // another server may have replaced it
        if inode(&self.path).is_ok_and(|now| now == self.inode) {
            let _ = rustix::fs::unlink(&self.path);
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Removes the socket file of a killed server; leaves one that answers, and any other file.
async fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {}
        // `bind` reports what exists there
        _ => return Ok(()),
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Ok(rustix::fs::unlink(path)?)
        }
        _ => Ok(()),
    }
}
