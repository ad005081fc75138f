//! Which keys hold without a restart.

use serde_json::Value;

use super::{Auth, Config, Loaded, Tls, Wrongs};

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
pub fn is_live(key: &str) -> bool {
    LIVE.iter().any(|live| {
        key.strip_prefix(live)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

impl Config {
    /// What protects a server of `before`, and would protect one of this no more: a login, encryption, or clients'
    /// certificates. A file that is only half written looks just like that.
    pub fn lost(&self, before: &Self) -> Option<Wrongs> {
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
        Wrongs::all(losses.into_iter().filter(|(.., is_lost)| *is_lost).map(|(section, what, _)| {
            let sentence = format!(
                "{section} is gone from it, and the file may be half written: taking {what} away needs SIGHUP or a restart, so send one if that is meant"
            );
            Wrongs::within(section, sentence)
        }))
    }
}

impl Loaded {
    /// The keys whose values differ, in the order of the alphabet. Lists are compared as a whole.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        differ("", &self.values, &other.values, &mut found);
        found
    }
}

fn differ(key: &str, one: &Value, other: &Value, found: &mut Vec<String>) {
    let (Value::Object(ones), Value::Object(others)) = (one, other) else {
        if one != other {
            found.push(key.to_owned());
        }
        return;
    };
    let mut names: Vec<_> = ones.keys().chain(others.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let member = if key.is_empty() {
            name.clone()
        } else {
            format!("{key}.{name}")
        };
        let empty = Value::Object(serde_json::Map::default());
        match (ones.get(name), others.get(name)) {
            (Some(one), Some(other)) => differ(&member, one, other, found),
            (Some(Value::Object(only)), None) | (None, Some(Value::Object(only))) => {
                differ(&member, &Value::Object(only.clone()), &empty, found);
            }
            _ => found.push(member),
        }
    }
}
