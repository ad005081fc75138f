//! The delivery of events by a server.

use tarkeep::config::Config;
use tarkeep::http::Address;
use tarkeep::registry::Registry;
use tarkeep::webhooks::Webhooks;
use uuid::Uuid;

use crate::cli::error::Error;
use crate::cli::from_config::webhooks::{self, OwnName};
use crate::cli::server::parts;
use crate::cli::server::reload::Reloader;

/// Prepares the delivery, and has what happens from now on written for its endpoints.
pub(super) async fn start(
    registry: &Registry,
    config: &Config,
    address: &Address,
    reloader: &mut Reloader,
) -> Result<Webhooks, Error> {
    let own = OwnName {
        instance: Uuid::new_v4().to_string(),
        address: own_address(address),
    };
    let delivery = Webhooks::new(webhooks::endpoints(config, &own)?);
    // a full disk is no reason not to serve: delivery records them again
    if let Err(error) = delivery.listen(registry).await {
        tracing::warn!(%error, "cannot record the endpoints of events");
    }
    reloader.register(parts::webhooks(delivery.clone(), own));
    Ok(delivery)
}

/// Returns the host's name with the port, as distribution tells it of itself.
fn own_address(address: &Address) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let address = address.to_string();
    match address.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => format!("{host}:{port}"),
        _ => host.to_owned(),
    }
}
