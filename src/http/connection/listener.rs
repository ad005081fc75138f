//! Where connections come in: a port, or a socket in the file system.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::http::connection::stream::Socket;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp(SocketAddr),
    /// The path of a socket. It is made with the process's umask: whoever may write to it may connect.
    Unix(PathBuf),
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
    /// Binds `address`. A socket file that nobody listens on any more is replaced.
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

    /// Tells the port where any was asked for.
    pub(crate) fn address(&self) -> io::Result<Address> {
        match &self.0 {
            Kind::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Kind::Unix(_, file) => Ok(Address::Unix(file.path.clone())),
        }
    }

    /// The next connection, and the address it comes from where it has one. `patience` tells, once there is a client, how long
    /// it may take nothing of what it asked for.
    pub(crate) async fn accept(
        &self,
        patience: impl Fn() -> Duration,
    ) -> io::Result<(Socket, Option<IpAddr>)> {
        match &self.0 {
            Kind::Tcp(listener) => {
                let (stream, client) = listener.accept().await?;
                // refused only by sockets that are closed already
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

/// The name of a socket of ours, which goes with it.
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
        // another server may have put its own there
        if inode(&self.path).is_ok_and(|now| now == self.inode) {
            let _ = rustix::fs::unlink(&self.path);
        }
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Removes what a server that was killed has left; one that answers is left alone, and so is what is no socket.
async fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => {}
        // what is there is for `bind` to complain about
        _ => return Ok(()),
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Ok(rustix::fs::unlink(path)?)
        }
        _ => Ok(()),
    }
}
