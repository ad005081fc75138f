//! Defaults: the configuration file, the data directory and the listen address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tarkeep::config::{Config, FILE_VARIABLE, Import, Violations};
use tarkeep::import::{DistributionStore, Rule};
use tarkeep::registry::Registry;

use crate::cli::owner;

const ROOT_DIRECTORY: &str = "storage.filesystem.rootdirectory";

/// The directory of `registry:2`, so that its volumes work.
const SYSTEM_DIRECTORY: &str = "/var/lib/registry";
/// The directory of the Debian package.
const PACKAGE_DIRECTORY: &str = "/var/lib/tarkeep";
const DEFAULT_PORT: u16 = 5000;

/// Port names that Go knows on every system.
const SERVICES: [(&str, &str); 2] = [(":http", ":80"), (":https", ":443")];

/// Returns the path of the configuration: the argument, or else the environment's.
pub(crate) fn configuration(named: Option<PathBuf>) -> Option<PathBuf> {
    let from_environment = || {
        std::env::var_os(FILE_VARIABLE)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    };
    named.or_else(from_environment)
}

/// Returns the data directory: the flag's, the configuration's, the package's if it alone holds a registry, the system's if
/// writable, or the user's.
pub(crate) fn data_directory(flag: Option<&Path>, config: &Config) -> Result<PathBuf, Violations> {
    if let Some(named) = flag.or(config.storage.filesystem.rootdirectory.as_deref()) {
        return Ok(named.to_owned());
    }
    let (system, package) = (Path::new(SYSTEM_DIRECTORY), Path::new(PACKAGE_DIRECTORY));
    if Registry::is_at(package) && !Registry::is_at(system) {
        return Ok(package.to_owned());
    }
    if is_writable(system) || (!system.exists() && system.parent().is_some_and(is_writable)) {
        return Ok(system.to_owned());
    }
    let data_home = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share"));
    match data_home.or_else(home) {
        Some(base) => Ok(base.join("registry")),
        None => Err(Violations::of(
            ROOT_DIRECTORY,
            "there is no home directory for the data: set a directory with --data-dir",
        )),
    }
}

/// Returns a data directory of the system that exists and belongs to another user.
pub(crate) fn system_directory_of_others() -> Option<PathBuf> {
    [SYSTEM_DIRECTORY, PACKAGE_DIRECTORY]
        .iter()
        .map(Path::new)
        .find(|directory| {
            let owner = directory.metadata().map(|metadata| metadata.uid());
            owner.is_ok_and(owner::is_other_user)
        })
        .map(Path::to_owned)
}

/// Returns the rule about a store of distribution in the data directory.
pub(crate) fn import_rule(config: &Config) -> Rule {
    match config.storage.import {
        Import::Auto if !config.storage.startempty => Rule::Auto,
        Import::Auto | Import::Off => Rule::Off,
    }
}

/// Returns the store of distribution in a directory without a registry of ours.
fn foreign_store(directory: &Path) -> Option<DistributionStore> {
    DistributionStore::find(directory).filter(|_| !Registry::is_at(directory))
}

/// Rejects a directory that holds a store of distribution which is not to be taken over, unless the owner allows that.
///
/// To clients its images would vanish, and new ones would have to be merged with them later. The store itself is neither
/// read nor changed.
///
/// # Errors
/// There is such a store, no registry of ours, `storage.import` is off and `storage.startempty` is false.
pub(crate) fn check_foreign_store(directory: &Path, config: &Config) -> Result<(), Violations> {
    match foreign_store(directory) {
        Some(store) if config.storage.import == Import::Off && !config.storage.startempty => {
            let sentence = format!(
                "{} is a store of registry:2, which storage.import: off leaves alone: set storage.import: auto to take it over without \
                 copying it, choose another directory, or set storage.startempty: true (REGISTRY_STORAGE_STARTEMPTY=true) to start an \
                 empty registry beside it; nothing was changed",
                store.path().display()
            );
            Err(Violations::of(ROOT_DIRECTORY, sentence))
        }
        _ => Ok(()),
    }
}

/// Rejects a directory that holds nothing but a store of distribution, for commands that need a registry of ours.
///
/// # Errors
/// The server has not taken it over yet.
pub(crate) fn check_taken_over(directory: &Path) -> Result<(), Violations> {
    match foreign_store(directory) {
        Some(store) => {
            let sentence = format!(
                "{} is a store of registry:2, which was not taken over yet: start registry serve on {} first",
                store.path().display(),
                directory.display()
            );
            Err(Violations::of(ROOT_DIRECTORY, sentence))
        }
        None => Ok(()),
    }
}

/// Says what a start would do with a store of distribution.
fn note_foreign_store(directory: &Path, config: &Config) {
    let Some(store) = foreign_store(directory) else {
        return;
    };
    let store = store.path().display();
    match import_rule(config) {
        Rule::Auto => tracing::warn!(
            "{store} is a store of registry:2: the first start takes it over, and changes nothing in it"
        ),
        Rule::Off => tracing::warn!(
            "{store} is a store of registry:2: its images are not served, and stay untouched"
        ),
    }
}

/// Checks that a server can use the data directory, without changing it.
pub(crate) fn check_data_directory(flag: Option<&Path>, config: &Config) -> Result<(), Violations> {
    let directory = data_directory(flag, config)?;
    check_foreign_store(&directory, config)?;
    note_foreign_store(&directory, config);
    Registry::check(&directory)
        .map_err(|failure| Violations::of(ROOT_DIRECTORY, owner::explained(failure, &directory)))
}

fn is_writable(directory: &Path) -> bool {
    use rustix::fs::{Access, access};
    access(directory, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Parses a listen address; the default is loopback, and `:PORT` means all addresses of this machine.
///
/// # Errors
/// A sentence about an invalid address.
pub(crate) fn listen_address(text: Option<&str>) -> Result<SocketAddr, String> {
    let Some(text) = text else {
        return Ok((Ipv4Addr::LOCALHOST, DEFAULT_PORT).into());
    };
    let malformed = |cause: &dyn std::fmt::Display| {
        format!(
            "cannot listen on '{text}': {cause}; write HOST:PORT, or :PORT for all addresses, with the port as a number"
        )
    };
    let numbered = SERVICES.iter().find_map(|(name, number)| {
        text.strip_suffix(name)
            .map(|host| format!("{host}{number}"))
    });
    let text = numbered.as_deref().unwrap_or(text);
    if let Some(port) = text.strip_prefix(':') {
        let port: u16 = port.parse().map_err(|error| malformed(&error))?;
        return Ok(SocketAddr::new(all_addresses(), port));
    }
    let mut addresses = text.to_socket_addrs().map_err(|error| malformed(&error))?;
    addresses
        .next()
        .ok_or_else(|| malformed(&"that name has no address"))
}

/// Returns IPv6's unspecified address, which accepts IPv4 too, unless this machine has no IPv6.
fn all_addresses() -> IpAddr {
    let has_ipv6 = std::net::UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok();
    if has_ipv6 {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_may_have_the_names_that_go_knows() {
        let port = |text: &str| {
            listen_address(Some(text))
                .map(|address| (address.ip().is_unspecified(), address.port()))
        };
        assert_eq!(port(":https"), Ok((true, 443)));
        assert_eq!(port("0.0.0.0:http"), Ok((true, 80)));
        assert_eq!(port("127.0.0.1:5000"), Ok((false, 5000)));
        for other in [":gopher", "127.0.0.1:gopher", "http", ":99999"] {
            assert!(
                port(other)
                    .unwrap_err()
                    .contains("with the port as a number"),
                "{other}"
            );
        }
    }
}
