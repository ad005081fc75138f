//! Changes of tokens: made, rotated, revoked.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::auth::{self, RepositoryPattern, Rights, TokenSecret};
use crate::registry::{self, Actor, NewSecret, NewToken, Registry, Rotation};
use crate::report::values::Time;

/// Lifetime of a secret if none is given.
const LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);
/// Time for which former secrets go on working, if none is given.
pub const OVERLAP: &str = "7d";

/// Words that describe a token to be made.
#[derive(Clone, Debug, Default)]
pub struct TokenWords {
    pub name: String,
    /// Globs.
    pub repositories: Vec<String>,
    /// Actions and roles.
    pub may: Vec<String>,
    pub user: Option<String>,
    /// `90d`, `12h` or `never`.
    pub expires: Option<String>,
}

/// Failure to change a token.
#[derive(Debug, thiserror::Error)]
pub enum TokenChangeError {
    /// Malformed words, in a sentence.
    #[error("{0}")]
    Words(String),
    #[error(transparent)]
    Secret(#[from] auth::Error),
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

/// A new secret of a token, shown this once.
#[derive(Debug, Deserialize, Serialize)]
pub struct MadeSecret {
    pub name: String,
    pub id: String,
    pub token: String,
    pub expires: Option<Time>,
}

/// The secret of a rotation.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RotatedSecret {
    #[serde(flatten)]
    pub made: MadeSecret,
    pub former_expires: Option<Time>,
}

impl TokenWords {
    /// Checks the words; returns the token, and its rights.
    ///
    /// # Errors
    /// [`TokenChangeError::Words`].
    pub fn parse(&self) -> Result<(NewToken, Rights), TokenChangeError> {
        let words = TokenChangeError::Words;
        for glob in &self.repositories {
            RepositoryPattern::parse(glob).map_err(words)?;
            if glob.contains("{user}") && self.user.is_none() {
                return Err(words(format!(
                    "{{user}} in '{glob}' stands for a user: name one with --for"
                )));
            }
        }
        if self.repositories.is_empty() != self.may.is_empty() {
            return Err(words(
                "a token has both repositories and what it may there, or neither".to_owned(),
            ));
        }
        let mut may = Rights::NONE;
        for word in &self.may {
            may = may | Rights::parse(word).map_err(words)?;
        }
        let token = NewToken {
            name: self.name.clone(),
            repositories: self.repositories.clone(),
            may: match may {
                Rights::NONE => String::new(),
                may => may.to_string(),
            },
            owner: self.user.clone(),
            lifetime: lifetime(self.expires.as_deref())?.unwrap_or(Some(LIFETIME)),
        };
        Ok((token, may))
    }
}

/// Makes a token.
///
/// # Errors
/// A taken or malformed name, and those of the database.
pub async fn create_token(
    registry: &Registry,
    token: NewToken,
    actor: Actor,
) -> Result<MadeSecret, TokenChangeError> {
    let (name, secret) = (token.name.clone(), TokenSecret::generate()?);
    let tokens = registry.tokens();
    let expires = tokens.create(token, stored(&secret), actor).await?;
    Ok(made(name, &secret, expires.map(Time)))
}

/// Gives a token another secret; `expires` is as for a new token, and else stays.
///
/// # Errors
/// An unknown token, malformed words, and those of the database.
pub async fn rotate_token(
    registry: &Registry,
    name: &str,
    overlap: &str,
    expires: Option<&str>,
    actor: Actor,
) -> Result<RotatedSecret, TokenChangeError> {
    let rotation = Rotation {
        overlap: duration(overlap)?,
        lifetime: lifetime(expires)?,
    };
    let secret = TokenSecret::generate()?;
    let tokens = registry.tokens();
    let rotated = tokens
        .rotate(name, rotation, stored(&secret), actor)
        .await?;
    Ok(RotatedSecret {
        made: made(name.to_owned(), &secret, rotated.expires_at.map(Time)),
        former_expires: rotated.former_end.map(Time),
    })
}

/// Revokes a token.
///
/// # Errors
/// An unknown token, and those of the database.
pub async fn revoke_token(
    registry: &Registry,
    name: &str,
    actor: Actor,
) -> Result<Value, registry::Error> {
    registry.tokens().revoke(name, actor).await?;
    Ok(json!({ "name": name, "state": "revoked" }))
}

fn made(name: String, secret: &TokenSecret, expires: Option<Time>) -> MadeSecret {
    MadeSecret {
        name,
        id: secret.id().to_owned(),
        token: secret.text().to_owned(),
        expires,
    }
}

/// Returns what the registry keeps of a secret.
fn stored(secret: &TokenSecret) -> NewSecret {
    NewSecret {
        id: secret.id().to_owned(),
        hash: secret.hash(),
    }
}

/// Parses a lifetime: `Some(None)` is an endless one, `None` none that was given.
fn lifetime(text: Option<&str>) -> Result<Option<Option<Duration>>, TokenChangeError> {
    match text {
        None => Ok(None),
        Some("never") => Ok(Some(None)),
        Some(text) => match duration(text)? {
            Duration::ZERO => Err(TokenChangeError::Words(format!(
                "a token that expires after {text} could never be used: write 90d, or never"
            ))),
            time => Ok(Some(Some(time))),
        },
    }
}

/// Parses a length of time, in which days have 24 hours.
fn duration(text: &str) -> Result<Duration, TokenChangeError> {
    let parse = || {
        let span: Span = text.parse().ok()?;
        let time: SignedDuration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
        Duration::try_from(time).ok()
    };
    let example = match text.strip_prefix('-') {
        Some(length) if length.parse::<Span>().is_ok() => format!("{length}, without the sign"),
        _ => "90d, 12h or 10m".to_owned(),
    };
    parse().ok_or_else(|| {
        TokenChangeError::Words(format!("'{text}' is not a length of time: write {example}"))
    })
}
