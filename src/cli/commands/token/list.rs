//! `registry token ls`.

use serde_json::{Value, json};
use tarkeep::registry::{ListedToken, Millis, SecretUse, now};

use super::arguments::ListArguments;
use crate::cli::error::Error;
use crate::cli::terminal::json;
use crate::cli::terminal::list::List;
use crate::cli::terminal::output::{self, Format};
use crate::cli::terminal::table::{Cell, Column};

const COLUMNS: [Column; 8] = [
    Column::name("NAME"),
    Column::fixed("STATE"),
    Column::text("REPOSITORIES"),
    Column::text("MAY"),
    Column::text("FOR"),
    Column::fixed("EXPIRES"),
    Column::fixed("LAST USED"),
    Column::text("FROM"),
];

pub(super) async fn list(arguments: ListArguments) -> Result<(), Error> {
    let format = arguments.output.format;
    let registry = arguments.store.open().await?;
    let mut tokens = registry.tokens().list().await?;
    tokens.retain(|listed| arguments.all || listed.token.revoked_at.is_none());
    if format == Format::Text && tokens.is_empty() {
        return output::say("there is no token: registry token create makes one");
    }
    let mut list = List::begin(format, "tokens", &COLUMNS)?;
    for token in &tokens {
        list.push(|| cells(token), || as_json(token))?;
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

fn state(listed: &ListedToken) -> &'static str {
    match (listed.token.revoked_at, expires(listed)) {
        (Some(_), _) => "revoked",
        (None, Some(expires)) if expires <= now() => "expired",
        (None, _) => "valid",
    }
}

fn cells(listed: &ListedToken) -> Vec<Cell> {
    let (token, last) = (&listed.token, last_use(listed));
    let time = |time: Option<Millis>| time.map_or(Cell::Empty, Cell::Time);
    vec![
        (&*token.name).into(),
        state(listed).into(),
        token.repositories.join(", ").into(),
        (&*token.may).into(),
        token.owner.as_deref().into(),
        time(expires(listed)),
        time(last.map(|last| last.at)),
        last.and_then(|last| last.address.as_deref()).into(),
    ]
}

fn as_json(listed: &ListedToken) -> Value {
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
        "state": state(listed),
        "repositories": token.repositories,
        "may": may,
        "user": token.owner,
        "created": json::time(token.created_at),
        "createdBy": token.created_by,
        "expires": time(expires(listed)),
        "revoked": time(token.revoked_at),
        "used": time(last.map(|last| last.at)),
        "usedFrom": last.and_then(|last| last.address.as_deref()),
        "secrets": secrets.collect::<Vec<_>>(),
    })
}
