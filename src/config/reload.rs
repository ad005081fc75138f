//! Which keys hold without a restart.

use crate::config::schema::{Auth, Config, Tls};
use crate::config::violations::Violations;

/// Keys, with everything below them, whose changes a running server takes. Whatever takes one is told of it by the command
/// line's `serve`.
const LIVE: &[&str] = &[
    "log.accesslog",
    "log.level",
    "loglevel",
    "http.draintimeout",
    "http.h2c",
    "http.headers",
    "http.host",
    "http.http2",
    "http.limits.connectionsperaddress",
    "http.limits.handshake",
    "http.limits.header",
    "http.limits.idle",
    "http.prefix",
    "http.relativeurls",
    "http.tls",
    "http.trustedproxies",
    "storage.delete",
    "storage.maintenance",
    "storage.reserve",
    "auth",
    "validation",
    "policy",
    "catalog",
    "tags",
    "manifests",
    "gc",
    "policies",
];

/// Whether a running server takes a change of `key` (`storage.delete.enabled`).
pub fn is_reloadable(key: &str) -> bool {
    LIVE.iter().any(|live| {
        key.strip_prefix(live)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

impl Config {
    /// What protects a server of `before`, and would protect one of this no more: a login, encryption, or clients'
    /// certificates. A file that is only half written looks just like that.
    pub fn lost_protection(&self, before: &Self) -> Option<Violations> {
        let asks = |config: &Self| !matches!(config.auth, None | Some(Auth::None(_)));
        let encrypts = |config: &Self| config.http.tls != Tls::default();
        let knows = |config: &Self| !config.http.tls.clientcas.is_empty();
        let is_lost = |protects: &dyn Fn(&Self) -> bool| protects(before) && !protects(self);
        let losses = [
            ("auth", "the login", is_lost(&asks)),
            ("http.tls", "encryption", is_lost(&encrypts)),
            (
                "http.tls.clientcas",
                "the check of clients' certificates",
                is_lost(&knows) && !is_lost(&encrypts),
            ),
        ];
        Violations::all(losses.into_iter().filter(|(.., is_lost)| *is_lost).map(|(section, what, _)| {
            let sentence = format!(
                "{section} is gone from it, and the file may be half written: taking {what} away needs SIGHUP or a restart, so send one if that is meant"
            );
            Violations::within(section, sentence)
        }))
    }
}
