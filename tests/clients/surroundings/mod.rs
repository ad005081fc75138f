//! Programs around the registry: proxies, certificate authorities, fail2ban and systemd.

pub mod acme;
pub mod alerts;
pub mod fail2ban;
pub mod nginx;
pub mod proxies;
pub mod unit;
