//! Tokens that access rules name, compared with those that there are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tarkeep::auth::Who;
use tarkeep::config::Config;

use crate::cli::from_config::{access, defaults};
use crate::cli::running_server::RunningServer;
use crate::cli::store::Store;
use crate::cli::terminal::values::few;

/// Maximum number of tokens that a note names.
const NAMED: usize = 10;

/// Place in which a server with the configuration has its tokens.
pub(super) struct Place {
    /// Data directory, if a flag or the running server names it.
    pub directory: Option<PathBuf>,
    pub file: Option<PathBuf>,
}

/// Returns a note about tokens that rules name and that do not exist, as far as that is known.
///
/// It is known while a server runs on the data directory. Otherwise the store is not opened, because that may change it. It is
/// no error: a token may be made later.
pub(super) async fn note(config: &Config, Place { directory, file }: Place) -> Option<String> {
    let mut named = named(config);
    if named.is_empty() {
        return None;
    }
    let directory = match directory {
        Some(directory) => directory,
        None => defaults::data_directory(None, config).ok()?,
    };
    if !RunningServer::is_on(&directory) {
        return None;
    }
    let registry = Store::of(directory, file).open_if_there().await.ok()??;
    for listed in registry.tokens().list().await.ok()? {
        if listed.token.revoked_at.is_none() {
            named.remove(&listed.token.name);
        }
    }
    let unknown: Vec<_> = named
        .iter()
        .map(|(name, number)| format!("token:{name} in access.rules[{number}]"))
        .collect();
    let first = named.keys().next()?;
    Some(format!(
        "there are no such tokens: {}; correct the names, or make each as in registry token create {first}",
        few(&unknown, NAMED)
    ))
}

/// Lists the tokens that rules name, each with the number of the first rule.
fn named(config: &Config) -> BTreeMap<String, usize> {
    let mut named = BTreeMap::new();
    let Ok(Some(rules)) = access::rules(config) else {
        return named;
    };
    for (number, rule) in rules.rules().iter().enumerate() {
        for who in &rule.who {
            if let Who::Token(name) = who {
                named.entry(name.clone()).or_insert(number);
            }
        }
    }
    named
}
