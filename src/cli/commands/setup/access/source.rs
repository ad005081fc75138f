//! Sources of the answers: the rules of a configuration, and the tokens beside them.

use std::sync::Arc;

use tarkeep::auth::{AccessRules, Claims, Subject};
use tarkeep::config::{Config, Loaded};

use super::arguments::{Person, Source};
use super::known_token::KnownToken;
use crate::cli::error::Error;
use crate::cli::from_config::check::Flags;
use crate::cli::from_config::{access, defaults, known_users};
use crate::cli::sources::Sources;
use crate::cli::store::Store;
use crate::cli::terminal::output;

/// Judges of somebody: rules, and a token's grant.
pub(super) struct Judges {
    /// A group is a member of itself in them. `None` without a section `access`: only of a token that exists.
    pub rules: Option<Arc<AccessRules>>,
    /// The token that it is about.
    pub token: Option<KnownToken>,
}

impl Source {
    /// Reads the rules of the configuration, and the token if it is about one.
    ///
    /// # Errors
    /// Without rules there is nothing to say about anybody but a token.
    pub(super) async fn judges(&self, who: &Person) -> Result<Judges, Error> {
        let sources = Sources::find(self.config.clone(), Flags::default())?;
        let missing = no_rules(&sources);
        let served = sources.data_directory.clone();
        let (Loaded { config, .. }, rules) = sources.draft()?.finish_with(access::rules)?;
        let token = match who.token() {
            Some(name) => {
                let directory = match self.data_dir.clone().or(served) {
                    Some(directory) => directory,
                    None => defaults::data_directory(None, &config)?,
                };
                let store = Store::of(directory, self.config.clone());
                KnownToken::find(name, store, &config).await?
            }
            None => None,
        };
        let rules = match rules {
            Some(rules) => Some(Arc::new(with_group(rules, who)?)),
            None if token.is_some() => None,
            None => return Err(Error::Other(missing)),
        };
        note_unknown_user(who, &config);
        if let Some(rules) = &rules {
            check_issuer(who, &config)?;
            note_claims(who, rules);
            note_unfit_user(who, rules);
        }
        Ok(Judges { rules, token })
    }
}

fn no_rules(sources: &Sources) -> String {
    match &sources.file {
        None if sources.is_served => {
            "it has no section access: everybody who is admitted may do everything".to_owned()
        }
        None => {
            "no configuration was named, so nothing was checked: name the server's with --config"
                .to_owned()
        }
        Some(file) => format!(
            "{} has no section access: everybody who is admitted may do everything",
            file.display()
        ),
    }
}

/// Makes a group a member of itself, if it is about one.
fn with_group(rules: AccessRules, who: &Person) -> Result<AccessRules, Error> {
    match who.group() {
        Some(group) => rules
            .with_member(group, &who.who)
            .ok_or_else(|| no_group(group, &rules)),
        None => Ok(rules),
    }
}

fn no_group(group: &str, rules: &AccessRules) -> Error {
    let known: Vec<_> = rules
        .groups()
        .keys()
        .map(|name| format!("@{name}"))
        .collect();
    let known = match &*known {
        [] => "access.groups has none".to_owned(),
        known => format!("access.groups has {}", known.join(", ")),
    };
    Error::Other(format!("there is no group '{group}': {known}"))
}

/// Checks that the section `trust` has an issuer, if it is about the logins of one.
fn check_issuer(who: &Person, config: &Config) -> Result<(), Error> {
    let Some(name) = who.issuer() else {
        return Ok(());
    };
    let mut known = config.trust.iter().map(|trusted| trusted.name.as_str());
    if known.clone().any(|known| known == name) {
        return Ok(());
    }
    let has = match known.next() {
        None => "there is no section trust".to_owned(),
        Some(first) => {
            let all: Vec<_> = std::iter::once(first).chain(known).collect();
            format!("trust has {}", all.join(", "))
        }
    };
    Err(Error::Other(format!(
        "there is no trusted issuer '{name}': {has}"
    )))
}

/// Says which claims decide that were not given.
fn note_claims(who: &Person, rules: &AccessRules) {
    let missing = who.missing_claims(rules);
    if !missing.is_empty() {
        output::complain(&format!(
            "note: rules for {} refer to {}, and allow nothing without: add {}",
            who.who,
            missing.join(", "),
            missing
                .iter()
                .map(|name| format!("--claim {name}=VALUE"))
                .collect::<Vec<_>>()
                .join(" ")
        ));
    }
}

fn note_unfit_user(who: &Person, rules: &AccessRules) {
    if who.group().is_none()
        && let Subject::User(user) = Subject::parse(&who.who, &Claims::default())
        && let Some(note) = access::unfit_user(rules, user)
    {
        output::complain(&format!("note: {note}"));
    }
}

fn note_unknown_user(who: &Person, config: &Config) {
    if who.group().is_none()
        && let Subject::User(user) = Subject::parse(&who.who, &Claims::default())
        && let Some(note) = known_users::note_about(config, user)
    {
        output::complain(&note);
    }
}
