//! Users that the section `access` names, compared with those who can log in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tarkeep::auth::{self, Who};
use tarkeep::config::{AccessSection, Config};
use tarkeep::files::regular_file;

use crate::cli::error::Error;
use crate::cli::terminal::values::few;

/// Maximum number of unknown users that a note names.
const NAMED: usize = 10;

/// Returns a note about users in groups and rules who cannot log in, as far as that is known.
///
/// It is no error: users may be added later.
pub(crate) fn note(config: &Config) -> Option<String> {
    let section = config.access.as_ref()?;
    let (file, known) = users(config)?;
    let unknown: Vec<_> = named(section)
        .into_iter()
        .filter(|(user, _)| !known.contains(user))
        .map(|(user, place)| format!("'{user}' in {place}"))
        .collect();
    (!unknown.is_empty()).then(|| {
        format!(
            "nobody in {0} has these names: {1}; correct them, or add a user with registry htpasswd {0} USER",
            file.display(),
            few(&unknown, NAMED)
        )
    })
}

/// Returns a note about a user who cannot log in, as far as that is known.
pub(crate) fn note_about(config: &Config, user: &str) -> Option<String> {
    let (file, known) = users(config)?;
    (!known.contains(user))
        .then(|| format!("note: there is no user '{user}' in {}", file.display()))
}

/// Checks that a user may exist whose rights a token is to have.
///
/// # Errors
/// A sentence, if such a token could never be used.
pub(crate) fn check_owner(config: &Config, user: &str) -> Result<(), Error> {
    if !is_gone(config, user) {
        return Ok(());
    }
    Err(Error::Other(match &config.auth.htpasswd {
        Some(htpasswd) => format!(
            "there is no user '{user}' in {0}, so nobody could use this token: correct --for, or add the user with registry htpasswd {0} \
             {user}",
            htpasswd.path.display()
        ),
        None => format!(
            "there is no user '{user}', because the server has no section auth.htpasswd, so nobody could use this token: leave --for out"
        ),
    }))
}

/// Reports whether a user certainly cannot log in by a password.
pub(crate) fn is_gone(config: &Config, user: &str) -> bool {
    match config.auth.htpasswd {
        Some(_) => users(config).is_some_and(|(_, known)| !known.contains(user)),
        None => true,
    }
}

/// Returns the users who can log in by a password; `None` if users are elsewhere, or the file cannot be read.
pub(crate) fn names(config: &Config) -> Option<BTreeSet<String>> {
    let (_, names) = users(config)?;
    Some(names)
}

/// Returns the password file and its users; `None` if users are elsewhere, or it cannot be read.
fn users(config: &Config) -> Option<(&Path, BTreeSet<String>)> {
    let htpasswd = config.auth.htpasswd.as_ref()?;
    let content = regular_file::read(&htpasswd.path).ok()?;
    let users = auth::entries(&content).filter_map(|entry| Some(entry.ok()?.user));
    Some((&htpasswd.path, users.collect()))
}

/// Lists the users that groups and rules name, each with the first place.
fn named(section: &AccessSection) -> BTreeMap<String, String> {
    let in_groups = section.groups.iter().flat_map(|(group, users)| {
        users
            .iter()
            .map(move |user| (user.clone(), format!("access.groups.{group}")))
    });
    let in_rules = section.rules.iter().enumerate().flat_map(|(number, rule)| {
        rule.who
            .iter()
            .filter_map(move |text| match Who::parse(text) {
                Ok(Who::User(user)) => Some((user, format!("access.rules[{number}]"))),
                Ok(Who::Anonymous | Who::Users | Who::Group(_) | Who::Token(_) | Who::Trust(_))
                | Err(_) => None,
            })
    });
    let mut named = BTreeMap::new();
    for (user, place) in in_groups.chain(in_rules) {
        named.entry(user).or_insert(place);
    }
    named
}
