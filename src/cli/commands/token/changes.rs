//! Changes of tokens: made, rotated, revoked.

use std::time::Duration;

use serde_json::{Value, json};
use tarkeep::auth::{RepositoryPattern, Rights, TokenSecret, Who};
use tarkeep::config::Config;
use tarkeep::registry::{Millis, NewSecret, NewToken, Rotation};

use super::arguments::{CreateArguments, RevokeArguments, RotateArguments, time};
use crate::cli::actor;
use crate::cli::error::Error;
use crate::cli::from_config::{access, known_users};
use crate::cli::terminal::json;
use crate::cli::terminal::output::{self, Format};
use crate::cli::terminal::values::{exact_time, plain};

/// Lifetime of a secret if none is given.
const LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);

pub(super) async fn create(arguments: CreateArguments) -> Result<(), Error> {
    let (token, may) = new_token(&arguments)?;
    if may != Rights::NONE && !may.contains(Rights::PULL) {
        output::complain(&format!(
            "note: --may {may} does not include pull, and clients read before they write: unless a rule lets the token pull there, it is \
             told that the repository is unknown; write --may pull,{}",
            arguments.may.join(",")
        ));
    }
    let (name, config) = (token.name.clone(), arguments.store.server_configuration());
    if let (Some(config), Some(user)) = (&config, &token.owner) {
        known_users::check_owner(config, user)?;
    }
    let powerless = powerless(&token, config.as_ref());
    let registry = arguments.store.open_or_create().await?;
    let secret = secret()?;
    let tokens = registry.tokens();
    let expires = tokens
        .create(token, stored(&secret), actor::local_user())
        .await?;
    if let Some(note) = powerless {
        output::complain(&note);
    }
    match arguments.output.format {
        Format::Json => json::print(&as_json(&name, &secret, expires)),
        Format::Text => shown(&name, &secret, expires),
    }
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

/// Checks the arguments of a new token; returns it, and its rights.
fn new_token(arguments: &CreateArguments) -> Result<(NewToken, Rights), Error> {
    for glob in &arguments.repositories {
        RepositoryPattern::parse(glob).map_err(Error::Other)?;
        if glob.contains("{user}") && arguments.owner.is_none() {
            return Err(Error::Other(format!(
                "{{user}} in '{glob}' stands for a user: name one with --for"
            )));
        }
    }
    let mut may = Rights::NONE;
    for word in &arguments.may {
        may = may | Rights::parse(word).map_err(Error::Other)?;
    }
    let words = match may {
        Rights::NONE => String::new(),
        may => may.to_string(),
    };
    let token = NewToken {
        name: arguments.name.clone(),
        repositories: arguments.repositories.clone(),
        may: words,
        owner: arguments.owner.clone(),
        lifetime: arguments.lifetime.given()?.unwrap_or(Some(LIFETIME)),
    };
    Ok((token, may))
}

pub(super) async fn rotate(arguments: RotateArguments) -> Result<(), Error> {
    let rotation = Rotation {
        overlap: time(&arguments.overlap)?,
        lifetime: arguments.lifetime.given()?,
    };
    let registry = arguments.store.open().await?;
    let secret = secret()?;
    let (tokens, by) = (registry.tokens(), actor::local_user());
    let name = &*arguments.name;
    let rotated = tokens.rotate(name, rotation, stored(&secret), by).await?;
    if arguments.output.format == Format::Json {
        let mut object = as_json(name, &secret, rotated.expires_at);
        object["formerExpires"] = json!(rotated.former_end.map(json::time));
        return json::print(&object);
    }
    shown(name, &secret, rotated.expires_at)?;
    output::complain(&match rotated.former_end {
        Some(end) => format!("The former secret works until {}.", exact_time(end)),
        None => "The former secret does not work any more.".to_owned(),
    });
    Ok(())
}

pub(super) async fn revoke(arguments: RevokeArguments) -> Result<(), Error> {
    let registry = arguments.store.open().await?;
    let tokens = registry.tokens();
    tokens.revoke(&arguments.name, actor::local_user()).await?;
    match arguments.output.format {
        Format::Json => json::print(&json!({ "name": arguments.name, "state": "revoked" })),
        Format::Text => output::say(&format!("revoked {}", plain(&arguments.name))),
    }
}

fn secret() -> Result<TokenSecret, Error> {
    TokenSecret::generate().map_err(|error| Error::Other(error.to_string()))
}

/// Returns what the registry keeps of a secret.
fn stored(secret: &TokenSecret) -> NewSecret {
    NewSecret {
        id: secret.id().to_owned(),
        hash: secret.hash(),
    }
}

/// Returns a new secret for JSON.
fn as_json(name: &str, secret: &TokenSecret, expires: Option<Millis>) -> Value {
    json!({
        "name": name,
        "id": secret.id(),
        "token": secret.text(),
        "expires": expires.map(json::time),
    })
}

/// Prints a secret, for the only time.
fn shown(name: &str, secret: &TokenSecret, expires: Option<Millis>) -> Result<(), Error> {
    let until = expires.map_or_else(
        || "it does not expire".to_owned(),
        |time| format!("it expires at {}", exact_time(time)),
    );
    // the secret alone on standard output, for scripts
    output::print(&format!("{}\n", secret.text()))?;
    output::complain(&format!(
        "token {name}: {until}. This is the only time that it is shown; use it as the password, with any user name."
    ));
    Ok(())
}
