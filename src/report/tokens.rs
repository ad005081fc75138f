//! Tokens of machines.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::registry::{Error, ListedToken, Millis, Registry, SecretUse, now};
use crate::report::values::Time;

/// A token.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenItem {
    pub name: String,
    pub state: String,
    pub repositories: Vec<String>,
    pub may: Vec<String>,
    pub user: Option<String>,
    pub created: Time,
    pub created_by: Option<String>,
    /// Time at which the newest secret expires.
    pub expires: Option<Time>,
    /// Time until which a former secret works; `None` if none does.
    pub former_expires: Option<Time>,
    pub revoked: Option<Time>,
    pub used: Option<Time>,
    pub used_from: Option<String>,
    pub secrets: Vec<SecretItem>,
}

/// A secret of a token, which is itself shown to nobody.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretItem {
    pub id: String,
    pub created: Time,
    pub expires: Option<Time>,
    pub replaced: Option<Time>,
    pub used: Option<Time>,
    pub used_from: Option<String>,
}

/// Tokens that are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    All,
    Unrevoked,
}

/// Lists tokens; `users` are those who can log in, if they are known.
///
/// # Errors
/// Those of the database.
pub async fn tokens(
    registry: &Registry,
    which: Tokens,
    users: Option<&BTreeSet<String>>,
) -> Result<Vec<TokenItem>, Error> {
    let mut tokens = registry.tokens().list().await?;
    tokens.retain(|listed| which == Tokens::All || listed.token.revoked_at.is_none());
    let items = tokens.into_iter().map(|listed| item(listed, users));
    Ok(items.collect())
}

fn item(listed: ListedToken, users: Option<&BTreeSet<String>>) -> TokenItem {
    let (state, expires) = (state(&listed, users), expires(&listed));
    let (former, last) = (former_end(&listed), last_use(&listed).cloned());
    let secrets = listed.secrets.into_iter().map(|(secret, last)| SecretItem {
        id: secret.id,
        created: Time(secret.created_at),
        expires: secret.expires_at.map(Time),
        replaced: secret.replaced_at.map(Time),
        used: last.as_ref().map(|last| Time(last.at)),
        used_from: last.and_then(|last| last.address),
    });
    let token = listed.token;
    let may = token.may.split(", ").filter(|action| !action.is_empty());
    TokenItem {
        state: state.to_owned(),
        may: may.map(str::to_owned).collect(),
        name: token.name,
        repositories: token.repositories,
        user: token.owner,
        created: Time(token.created_at),
        created_by: token.created_by,
        expires: expires.map(Time),
        former_expires: former.map(Time),
        revoked: token.revoked_at.map(Time),
        used: last.as_ref().map(|last| Time(last.at)),
        used_from: last.and_then(|last| last.address),
        secrets: secrets.collect(),
    }
}

/// Returns the last use of any secret of a token.
fn last_use(listed: &ListedToken) -> Option<&SecretUse> {
    let uses = listed.secrets.iter().filter_map(|(_, last)| last.as_ref());
    uses.max_by_key(|last| last.at)
}

fn expires(listed: &ListedToken) -> Option<Millis> {
    listed.secrets.last()?.0.expires_at
}

fn former_end(listed: &ListedToken) -> Option<Millis> {
    let former = listed.secrets.iter().map(|(secret, _)| secret);
    let former = former.filter(|secret| secret.replaced_at.is_some());
    let end = former.filter_map(|secret| secret.expires_at).max();
    end.filter(|end| *end > now() && listed.token.revoked_at.is_none())
}

/// Names the state of a token.
fn state(listed: &ListedToken, users: Option<&BTreeSet<String>>) -> &'static str {
    let is_gone = |user: &String| users.is_some_and(|users| !users.contains(user));
    match (listed.token.revoked_at, expires(listed)) {
        (Some(_), _) => "revoked",
        (None, Some(expires)) if expires <= now() => "expired",
        (None, _) if listed.token.owner.as_ref().is_some_and(is_gone) => "void",
        (None, _) => "valid",
    }
}
