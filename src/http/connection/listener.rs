//! Listening sockets: TCP ports and Unix sockets.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

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

pub(crate) struct Listener(Kind);

enum Kind {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

impl Listener {
    /// Binds `address`. A socket file without a listener is replaced.
    pub(crate) async fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => Ok(Self(Kind::Tcp(TcpListener::bind(address).await?))),
            Address::Unix(path) => {
                remove_stale(path).await?;
                let listener = UnixListener::bind(path)?;
                Ok(Self(Kind::Unix(listener, SocketFile::at(path)?)))
            }
        }
    }

    /// Returns the address, with the port that the system chose if none was given.
    pub(crate) fn address(&self) -> io::Result<Address> {
        match &self.0 {
            Kind::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Kind::Unix(_, file) => Ok(Address::Unix(file.path.clone())),
        }
    }

    /// Accepts a connection, and returns its address if it has one. `patience` returns, once there is a client, the
    /// time that writes to it may stall.
    pub(crate) async fn accept(
        &self,
        patience: impl Fn() -> Duration,
    ) -> io::Result<(Socket, Option<IpAddr>)> {
        match &self.0 {
            Kind::Tcp(listener) => {
                let (stream, client) = listener.accept().await?;
                // fails only for sockets that are closed already
                let _ = stream.set_nodelay(true);
                Ok((Socket::tcp(stream, patience()), Some(client.ip())))
            }
            Kind::Unix(listener, _) => listener
                .accept()
                .await
                .map(|(stream, _)| (Socket::unix(stream, patience()), None)),
        }
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
