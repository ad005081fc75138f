//! Where the registry listens and keeps its data, when nobody says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use registry::config::Config;

use super::Failure;

/// What `registry:2` uses, so that its volumes work.
const SYSTEM_DIRECTORY: &str = "/var/lib/registry";
const DEFAULT_PORT: u16 = 5000;

/// The data directory: the flag's, the configuration's, the system's where it is writable, or the user's.
pub(super) fn data_directory(flag: Option<PathBuf>, config: &Config) -> Result<PathBuf, Failure> {
    if let Some(named) = flag.or_else(|| config.storage.filesystem.rootdirectory.clone()) {
        return Ok(named);
    }
    let system = Path::new(SYSTEM_DIRECTORY);
    if is_writable(system) || (!system.exists() && system.parent().is_some_and(is_writable)) {
        return Ok(system.to_owned());
    }
    let data_home = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share"));
    match data_home.or_else(home) {
        Some(base) => Ok(base.join("registry")),
        None => Err(Failure::Other("there is no home directory to keep data in: name a directory with --data-dir".to_owned())),
    }
}

fn is_writable(directory: &Path) -> bool {
    use rustix::fs::{Access, access};
    access(directory, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Where to listen: loopback unless an address says otherwise; `:PORT` means every address of this machine.
pub(super) fn listen_address(text: Option<&str>) -> Result<SocketAddr, Failure> {
    let Some(text) = text else { return Ok((Ipv4Addr::LOCALHOST, DEFAULT_PORT).into()) };
    let malformed = |cause: &dyn std::fmt::Display| {
        Failure::Other(format!("cannot listen on '{text}': {cause}; write HOST:PORT, or :PORT for every address"))
    };
    if let Some(port) = text.strip_prefix(':') {
        let port: u16 = port.parse().map_err(|error| malformed(&error))?;
        return Ok(SocketAddr::new(every_address(), port));
    }
    let mut addresses = text.to_socket_addrs().map_err(|error| malformed(&error))?;
    addresses.next().ok_or_else(|| malformed(&"that name has no address"))
}

/// IPv6's, which takes IPv4 as well, unless this machine has no IPv6.
fn every_address() -> IpAddr {
    let has_ipv6 = std::net::UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok();
    if has_ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}
