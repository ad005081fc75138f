//! Changes of tokens: made, rotated, revoked.

use serde_json::json;
use tarkeep::auth::{Rights, Who};
use tarkeep::config::Config;
use tarkeep::registry::NewToken;
use tarkeep::report::{self, MadeSecret, TokenChangeError, TokenWords};

use super::arguments::{CreateArguments, RevokeArguments, RotateArguments};
use crate::cli::actor;
use crate::cli::error::Error;
use crate::cli::from_config::{access, known_users};
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
    let config = arguments.store.server_configuration();
    if let (Some(config), Some(user)) = (&config, &token.owner) {
        known_users::check_owner(config, user)?;
    }
    let powerless = powerless(&token, config.as_ref());
    let registry = arguments.store.open_or_create().await?;
    let made = report::create_token(&registry, token, actor::local_user());
    let made = made.await.map_err(failed)?;
    if let Some(note) = powerless {
        output::complain(&note);
    }
    match arguments.output.format {
        Format::Json => json::print(&json!(made)),
        Format::Text => shown(&made),
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

pub(super) async fn rotate(arguments: RotateArguments) -> Result<(), Error> {
    let registry = arguments.store.open().await?;
    let (overlap, expires) = (&*arguments.overlap, arguments.lifetime.expires.as_deref());
    let by = actor::local_user();
    let rotated = report::rotate_token(&registry, &arguments.name, overlap, expires, by);
    let rotated = rotated.await.map_err(failed)?;
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
    let registry = arguments.store.open().await?;
    let revoked = report::revoke_token(&registry, &arguments.name, actor::local_user()).await?;
    match arguments.output.format {
        Format::Json => json::print(&revoked),
        Format::Text => output::say(&format!("revoked {}", plain(&arguments.name))),
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
