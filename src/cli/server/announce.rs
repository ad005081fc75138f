//! The announcement of a server, warnings at its start, and the error of listening.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;
use tarkeep::http::Address;
use tarkeep::registry::Retention;

use crate::cli::error::Error;
use crate::cli::terminal::output::Format;

/// Minimum lease of real use; shorter ones are for tests.
const SHORTEST_LEASE: Duration = Duration::from_secs(60);

/// Prints the line that scripts wait for, with the first address to push to: `scheme` is `http` or `https`.
pub(super) fn announce(addresses: &[Address], scheme: &str, directory: &Path, format: Format) {
    let urls: Vec<_> = addresses
        .iter()
        .map(|address| match address.local() {
            Address::Tcp(address) => format!("{scheme}://{address}"),
            Address::Unix(path) => format!("{scheme}+unix://{}", path.display()),
        })
        .collect();
    for address in addresses {
        if let Address::Tcp(bound) = address
            && bound.ip().is_unspecified()
        {
            tracing::info!(address = %bound, "listening on all addresses of this machine");
        }
    }
    let Some((url, others)) = urls.split_first() else {
        return;
    };
    for other in others {
        tracing::info!("listening on {other} as well");
    }
    let mut out = std::io::stdout();
    // a closed standard output is no reason not to serve
    let _ = match format {
        Format::Text => writeln!(out, "listening on {url}, data in {}", directory.display()),
        Format::Json => writeln!(
            out,
            "{}",
            json!({ "address": url, "dataDirectory": directory })
        ),
    }
    .and_then(|()| out.flush());
}

/// Warns about a registry without login that is open to the network.
pub(super) fn warn_open_to_network(addresses: &[Address]) {
    if let Some(address) = addresses
        .iter()
        .find(|address| address.is_open_to_network())
    {
        tracing::warn!(
            "open to the network without login: anyone who reaches {address} can push and delete"
        );
    }
}

/// Warns about leases that end before a slow push sends its manifest.
pub(super) fn warn_short_leases(retention: &Retention) {
    let held = retention.lease.max(retention.grace);
    if retention.enabled && held < SHORTEST_LEASE {
        let held = SignedDuration::try_from(held).unwrap_or(SignedDuration::MAX);
        tracing::warn!(
            "gc.lease and gc.grace keep uploaded blobs for only {held:#}: pushes that take longer may fail"
        );
    }
}

pub(super) fn cannot_bind(address: &Address, error: &std::io::Error) -> Error {
    let remedy = match (address, error.kind()) {
        (Address::Tcp(_), ErrorKind::AddrInUse) => {
            "another program listens there: stop it, or choose another port with --addr"
        }
        (Address::Tcp(_), ErrorKind::PermissionDenied) => {
            "ports below 1024 need root: choose another port with --addr"
        }
        (Address::Tcp(_), _) => "choose an address of this machine with --addr",
        (Address::Unix(_), ErrorKind::AddrInUse) => {
            "another server listens there, or the file is not a socket: choose another path in http.addr"
        }
        (Address::Unix(_), _) => {
            "http.addr must be a path in an existing directory that this user can write to"
        }
    };
    Error::Other(format!("cannot listen on {address}: {error}; {remedy}"))
}
