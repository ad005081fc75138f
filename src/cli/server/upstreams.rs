//! The upstreams of a server, and the addresses that lead to one of them.

use tarkeep::config::Config;
use tarkeep::http::{Address, Listener, Server};

use crate::cli::error::Error;
use crate::cli::from_config::upstreams;
use crate::cli::server::announce::cannot_bind;

/// Adds the mirrors to a server, and listens on their own addresses.
pub(super) async fn add(server: Server, config: &Config) -> Result<Server, Error> {
    let mut server = server.with_mirrors(upstreams::mirrors(config)?);
    for (prefix, address) in upstreams::entrances(config)? {
        let address = Address::Tcp(address);
        let bound = Listener::bind(&address).await;
        let listener = bound.map_err(|error| cannot_bind(&address, &error))?;
        let bound = listener.addresses();
        for address in bound.map_err(|error| cannot_bind(&address, &error))? {
            tracing::info!(%address, upstream = %prefix, "listening for one upstream");
        }
        server.add_entrance(listener, prefix);
    }
    Ok(server)
}
