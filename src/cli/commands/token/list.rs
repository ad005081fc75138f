//! `registry token ls`.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tarkeep::registry::{ListedToken, Millis, SecretUse, now};

use super::arguments::ListArguments;
use crate::cli::error::Error;
use crate::cli::from_config::known_users;
use crate::cli::terminal::json;
use crate::cli::terminal::list::List;
use crate::cli::terminal::output::{self, Format};
use crate::cli::terminal::table::{Cell, Column};

const COLUMNS: [Column; 9] = [
    Column::name("NAME"),
    Column::fixed("STATE"),
    Column::text("REPOSITORIES"),
    Column::text("MAY"),
    Column::text("FOR"),
    Column::fixed("EXPIRES"),
    Column::fixed("FORMER UNTIL"),
    Column::fixed("LAST USED"),
    Column::text("FROM"),
];

pub(super) async fn list(arguments: ListArguments) -> Result<(), Error> {
    let format = arguments.output.format;
    let configuration = arguments.store.server_configuration();
    let users = configuration.and_then(|config| known_users::names(&config));
    let registry = arguments.store.open().await?;
    let mut tokens = registry.tokens().list().await?;
    tokens.retain(|listed| arguments.all || listed.token.revoked_at.is_none());
    if format == Format::Text && tokens.is_empty() {
        return output::say("there is no token: registry token create makes one");
    }
    let mut list = List::begin(format, "tokens", &COLUMNS)?;
    for token in &tokens {
        let state = state(token, users.as_ref());
        list.push(|| cells(token, state), || as_json(token, state))?;
    }
    list.finish()
}

/// Returns the last use of any secret of a token.
fn last_use(listed: &ListedToken) -> Option<&SecretUse> {
    let uses = listed.secrets.iter().filter_map(|(_, last)| last.as_ref());
    uses.max_by_key(|last| last.at)
}

/// Returns the time at which the newest secret expires.
fn expires(listed: &ListedToken) -> Option<Millis> {
    listed.secrets.last()?.0.expires_at
}

/// Returns the time until which a former secret works; `None` if none does.
fn former_end(listed: &ListedToken) -> Option<Millis> {
    let former = listed.secrets.iter().map(|(secret, _)| secret);
    let former = former.filter(|secret| secret.replaced_at.is_some());
    let end = former.filter_map(|secret| secret.expires_at).max();
    end.filter(|end| *end > now() && listed.token.revoked_at.is_none())
}

/// Names the state of a token; `users` are those who can log in, if they are known.
fn state(listed: &ListedToken, users: Option<&BTreeSet<String>>) -> &'static str {
    let is_gone = |user: &String| users.is_some_and(|users| !users.contains(user));
    match (listed.token.revoked_at, expires(listed)) {
        (Some(_), _) => "revoked",
        (None, Some(expires)) if expires <= now() => "expired",
        (None, _) if listed.token.owner.as_ref().is_some_and(is_gone) => "void",
        (None, _) => "valid",
    }
}

fn cells(listed: &ListedToken, state: &'static str) -> Vec<Cell> {
    let (token, last) = (&listed.token, last_use(listed));
    let time = |time: Option<Millis>| time.map_or(Cell::Empty, Cell::Time);
    vec![
        (&*token.name).into(),
        state.into(),
        token.repositories.join(", ").into(),
        (&*token.may).into(),
        token.owner.as_deref().into(),
        time(expires(listed)),
        time(former_end(listed)),
        time(last.map(|last| last.at)),
        last.and_then(|last| last.address.as_deref()).into(),
    ]
}

fn as_json(listed: &ListedToken, state: &'static str) -> Value {
    let (token, last) = (&listed.token, last_use(listed));
    let time = |time: Option<Millis>| time.map(json::time);
    let secrets = listed.secrets.iter().map(|(secret, last)| {
        json!({
            "id": secret.id,
            "created": json::time(secret.created_at),
            "expires": time(secret.expires_at),
            "replaced": time(secret.replaced_at),
            "used": time(last.as_ref().map(|last| last.at)),
            "usedFrom": last.as_ref().and_then(|last| last.address.as_deref()),
        })
    });
    let may: Vec<_> = token
        .may
        .split(", ")
        .filter(|action| !action.is_empty())
        .collect();
    json!({
        "name": token.name,
        "state": state,
        "repositories": token.repositories,
        "may": may,
        "user": token.owner,
        "created": json::time(token.created_at),
        "createdBy": token.created_by,
        "expires": time(expires(listed)),
        "formerExpires": time(former_end(listed)),
        "revoked": time(token.revoked_at),
        "used": time(last.map(|last| last.at)),
        "usedFrom": last.and_then(|last| last.address.as_deref()),
        "secrets": secrets.collect::<Vec<_>>(),
    })
}
