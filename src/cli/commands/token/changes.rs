//! Changes of tokens: made, rotated, revoked.

use serde_json::json;
use tarkeep::auth::{Rights, Who};
use tarkeep::config::Config;
use tarkeep::registry::NewToken;
use tarkeep::report::{self, MadeSecret, RotatedSecret, TokenChangeError, TokenWords};

use super::arguments::{CreateArguments, RevokeArguments, RotateArguments};
use crate::cli::actor;
use crate::cli::error::Error;
use crate::cli::from_config::{access, known_users};
use crate::cli::place;
use crate::cli::store::Store;
use crate::cli::terminal::json;
use crate::cli::terminal::output::{self, Format};
use crate::cli::terminal::values::plain;

pub(super) async fn create(arguments: CreateArguments) -> Result<(), Error> {
    let words = TokenWords {
        name: arguments.name.clone(),
        repositories: arguments.repositories.clone(),
        may: arguments.may.clone(),
        user: arguments.owner.clone(),
        expires: arguments.lifetime.expires.clone(),
    };
    let (token, may) = words.parse().map_err(failed)?;
    if may != Rights::NONE && !may.contains(Rights::PULL) {
        output::complain(&format!(
            "note: --may {may} does not include pull, and clients read before they write: unless a rule lets the token pull there, it is \
             told that the repository is unknown; write --may pull,{}",
            arguments.may.join(",")
        ));
    }
    let made = match arguments.place.server()? {
        Some(remote) => {
            let body = json!({
                "name": words.name, "repositories": words.repositories, "may": words.may, "user": words.user,
                "expires": words.expires,
            });
            let made = remote.post("tokens", &[], &body).await;
            made.map_err(place::failed)?
        }
        None => create_here(arguments.place.store, token).await?,
    };
    match arguments.output.format {
        Format::Json => json::print(&json!(made)),
        Format::Text => shown(&made),
    }
}

async fn create_here(store: Store, token: NewToken) -> Result<MadeSecret, Error> {
    let config = store.server_configuration();
    if let (Some(config), Some(user)) = (&config, &token.owner) {
        known_users::check_owner(config, user)?;
    }
    let powerless = powerless(&token, config.as_ref());
    let registry = store.open_or_create().await?;
    let made = report::create_token(&registry, token, actor::local_user());
    let made = made.await.map_err(failed)?;
    if let Some(note) = powerless {
        output::complain(&note);
    }
    Ok(made)
}

/// Returns a note about a token that was made for nothing, and to which no rule gives anything.
fn powerless(token: &NewToken, config: Option<&Config>) -> Option<String> {
    if !token.repositories.is_empty() {
        return None;
    }
    let name = &token.name;
    let how = "make it with --repositories and --may";
    let Some(config) = config else {
        return Some(format!(
            "note: the server's configuration is not known: this token may do what rules for token:{name} allow and nothing else"
        ));
    };
    let Ok(Some(rules)) = access::rules(config) else {
        return Some(format!(
            "note: nothing is allowed to this token, because there are no access rules: {how}"
        ));
    };
    let own = Who::Token(name.clone());
    let is_named = rules.rules().iter().any(|rule| rule.who.contains(&own));
    (!is_named).then(|| {
        format!(
            "note: no rule names token:{name}, so it may do what anonymous clients may and nothing else: add a rule with who: 'token:{name}', or {how}"
        )
    })
}

pub(super) async fn rotate(arguments: RotateArguments) -> Result<(), Error> {
    let (overlap, expires) = (&*arguments.overlap, arguments.lifetime.expires.as_deref());
    let name = &arguments.name;
    let rotated: RotatedSecret = match arguments.place.server()? {
        Some(remote) => {
            let body = json!({ "overlap": overlap, "expires": expires });
            let path = path(name)?;
            let rotated = remote.post(&path, &[], &body).await;
            rotated.map_err(place::failed)?
        }
        None => {
            let registry = arguments.place.store.open().await?;
            let by = actor::local_user();
            let rotated = report::rotate_token(&registry, name, overlap, expires, by);
            rotated.await.map_err(failed)?
        }
    };
    if arguments.output.format == Format::Json {
        return json::print(&json!(rotated));
    }
    shown(&rotated.made)?;
    output::complain(&match rotated.former_expires {
        Some(end) => format!("The former secret works until {end}."),
        None => "The former secret does not work any more.".to_owned(),
    });
    Ok(())
}

pub(super) async fn revoke(arguments: RevokeArguments) -> Result<(), Error> {
    let name = &arguments.name;
    let revoked = match arguments.place.server()? {
        Some(remote) => {
            let path = path(name)?;
            remote.delete(&path, &[]).await.map_err(place::failed)?
        }
        None => {
            let registry = arguments.place.store.open().await?;
            report::revoke_token(&registry, name, actor::local_user()).await?
        }
    };
    match arguments.output.format {
        Format::Json => json::print(&revoked),
        Format::Text => output::say(&format!("revoked {}", plain(name))),
    }
}

/// Returns the route of a token.
fn path(name: &str) -> Result<String, Error> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match name.bytes().all(is_plain) {
        true => Ok(format!("tokens/{name}")),
        false => Err(Error::Other(format!("there is no token '{}'", plain(name)))),
    }
}

fn failed(error: TokenChangeError) -> Error {
    match error {
        TokenChangeError::Registry(error) => error.into(),
        other => Error::Other(other.to_string()),
    }
}

/// Prints a secret, for the only time.
fn shown(made: &MadeSecret) -> Result<(), Error> {
    let until = made.expires.map_or_else(
        || "it does not expire".to_owned(),
        |time| format!("it expires at {time}"),
    );
    // the secret alone on standard output, for scripts
    output::print(&format!("{}\n", made.token))?;
    output::complain(&format!(
        "token {}: {until}. This is the only time that it is shown; use it as the password, with any user name.",
        made.name
    ));
    Ok(())
}
