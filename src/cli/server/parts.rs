//! The parts of a server that apply a reloaded configuration. Their keys are `Live` in the table of keys.

use tarkeep::auth::Access;
use tarkeep::http::{AccessLog, Address, LiveSettings};
use tarkeep::log::Handle;
use tarkeep::registry::Registry;
use tarkeep::webhooks::Webhooks;

use crate::cli::from_config::webhooks::OwnName;
use crate::cli::from_config::{auth, http, log, registry, webhooks};
use crate::cli::server::announce::warn_open_to_network;
use crate::cli::server::reload::Part;

/// Applies `log.level`.
pub(super) fn log(log: Handle) -> Part {
    Box::new(move |config| {
        let (log, level) = (log.clone(), log::level(config.level()));
        Ok(Box::new(move || log.set_level(level)))
    })
}

/// Applies the settings of operations and garbage collection.
pub(super) fn registry(registry: Registry) -> Part {
    Box::new(move |config| {
        let (registry, settings) = (registry.clone(), registry::settings(config)?);
        Ok(Box::new(move || registry.set_settings(settings)))
    })
}

/// Applies the sections `notifications` and `webhooks`.
pub(super) fn webhooks(webhooks: Webhooks, own: OwnName) -> Part {
    Box::new(move |config| {
        let endpoints = webhooks::endpoints(config, &own)?;
        let webhooks = webhooks.clone();
        Ok(Box::new(move || webhooks.replace(endpoints)))
    })
}

/// Applies `log.accesslog`.
pub(super) fn access_log(access_log: AccessLog) -> Part {
    Box::new(move |config| {
        let (access_log, is_logged) = (access_log.clone(), !config.log.accesslog.disabled);
        Ok(Box::new(move || access_log.set_enabled(is_logged)))
    })
}

/// Applies the section `http`.
pub(super) fn http(settings: LiveSettings) -> Part {
    Box::new(move |config| {
        let (settings, next) = (
            settings.clone(),
            http::settings(config, usize::MAX, Some(&settings.get()))?,
        );
        Ok(Box::new(move || {
            // unchanged TLS settings still read their files again
            next.tls.iter().for_each(|tls| tls.refresh_files());
            settings.replace(next);
        }))
    })
}

/// Applies the section `auth`.
pub(super) fn access(access: Access, addresses: Vec<Address>) -> Part {
    Box::new(move |config| {
        let prepared = access
            .prepare(auth::settings(config)?)
            .map_err(|error| auth::violations(&error))?;
        let (access, addresses) = (access.clone(), addresses.clone());
        Ok(Box::new(move || {
            let was_open = access.is_open();
            access.replace(prepared);
            if access.is_open() && !was_open {
                warn_open_to_network(&addresses);
            }
        }))
    })
}
