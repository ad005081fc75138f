//! Tokens: made, listed, rotated, revoked, found.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::meta::{
    Actor, AuditAction, AuditSubject, ListedToken, Millis, SecretRow, TokenRow, WriteTx, millis,
    now,
};
use crate::registry::error::Error;
use crate::registry::facades::Tokens;

/// Time for which revoked tokens and replaced secrets are listed, and refused by name.
const REMEMBERED: Duration = Duration::from_secs(90 * 24 * 3600);
/// Maximum length of a name.
const LONGEST_NAME: usize = 64;

/// A token to be made.
#[derive(Clone, Debug)]
pub struct NewToken {
    pub name: String,
    /// Globs; empty if its rights are those of the access rules alone.
    pub repositories: Vec<String>,
    /// Actions, separated by commas.
    pub may: String,
    /// User whose rights it never exceeds.
    pub owner: Option<String>,
    /// Time until its secret expires; `None` for never.
    pub lifetime: Option<Duration>,
}

/// Stored form of a new secret: nothing that clients send.
#[derive(Clone, Debug)]
pub struct NewSecret {
    pub id: String,
    /// SHA-256 of the whole secret.
    pub hash: Vec<u8>,
}

/// Changes of a rotation.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// Time for which the former secrets go on working.
    pub overlap: Duration,
    /// Another lifetime, `Some(None)` for an endless one; `None` keeps the token's.
    pub lifetime: Option<Option<Duration>>,
}

/// Times after a rotation.
#[derive(Clone, Copy, Debug)]
pub struct Rotated {
    /// Expiry of the new secret; `None` for never.
    pub expires_at: Option<Millis>,
    /// Time until which a former secret works; `None` if none does.
    pub former_end: Option<Millis>,
}

impl NewSecret {
    fn row(self, lifetime: Option<Millis>, now: Millis) -> SecretRow {
        SecretRow {
            id: self.id,
            hash: self.hash,
            created_at: now,
            expires_at: lifetime.map(|lifetime| now.saturating_add(lifetime)),
            replaced_at: None,
        }
    }
}

impl Tokens<'_> {
    /// Makes a token; returns the time at which its secret expires.
    ///
    /// # Errors
    /// [`Error::TokenName`] and [`Error::TokenExists`].
    pub async fn create(
        self,
        token: NewToken,
        secret: NewSecret,
        actor: Actor,
    ) -> Result<Option<Millis>, Error> {
        if !is_token_name(&token.name) {
            return Err(Error::TokenName(token.name));
        }
        let change = move |tx: &WriteTx<'_>| {
            if tx.token(&token.name)?.is_some() {
                return Err(Error::TokenExists(token.name));
            }
            let now = now();
            tx.forget_old_tokens(now - millis(REMEMBERED))?;
            let row = TokenRow {
                name: token.name,
                repositories: token.repositories,
                may: token.may,
                owner: token.owner,
                lifetime: token.lifetime.map(millis),
                created_at: now,
                created_by: actor.name.clone(),
                revoked_at: None,
            };
            let secret = secret.row(row.lifetime, now);
            tx.insert_token(&row, &secret)?;
            audit(tx, AuditAction::TokenCreated, &row.name, &actor)?;
            Ok(secret.expires_at)
        };
        self.registry.meta.write(change).await
    }

    /// Gives a token another secret. The former ones work until the overlap ends, or they expire.
    ///
    /// # Errors
    /// [`Error::TokenUnknown`].
    pub async fn rotate(
        self,
        name: &str,
        rotation: Rotation,
        secret: NewSecret,
        actor: Actor,
    ) -> Result<Rotated, Error> {
        let name = name.to_owned();
        let change = move |tx: &WriteTx<'_>| {
            let Some(token) = tx.token(&name)? else {
                return Err(Error::TokenUnknown(name));
            };
            let now = now();
            tx.forget_old_tokens(now - millis(REMEMBERED))?;
            let lifetime = match rotation.lifetime {
                Some(lifetime) => lifetime.map(millis),
                None => token.lifetime,
            };
            let secret = secret.row(lifetime, now);
            let until = now.saturating_add(millis(rotation.overlap));
            let former_end = tx.rotate_token(&name, lifetime, &secret, until)?;
            audit(tx, AuditAction::TokenRotated, &name, &actor)?;
            Ok(Rotated {
                expires_at: secret.expires_at,
                former_end: former_end.filter(|end| *end > now),
            })
        };
        self.registry.meta.write(change).await
    }

    /// Revokes a token: the next request with it is refused.
    ///
    /// # Errors
    /// [`Error::TokenUnknown`].
    pub async fn revoke(self, name: &str, actor: Actor) -> Result<(), Error> {
        let name = name.to_owned();
        let change = move |tx: &WriteTx<'_>| match tx.revoke_token(&name, now())? {
            true => audit(tx, AuditAction::TokenRevoked, &name, &actor),
            false => Err(Error::TokenUnknown(name)),
        };
        self.registry.meta.write(change).await
    }

    /// Lists tokens by name, the revoked ones last.
    pub async fn list(self) -> Result<Vec<ListedToken>, Error> {
        self.registry.scan(|reader| reader.tokens()).await
    }

    /// Returns the secret of that id with its token, as of the last commit of any process.
    pub async fn of_secret(self, id: &str) -> Result<Option<Arc<(TokenRow, SecretRow)>>, Error> {
        Ok(self.registry.meta.token_of_secret(id).await?)
    }

    /// Reports whether there is a token that was not revoked.
    pub async fn is_any_there(self) -> Result<bool, Error> {
        Ok(self.registry.meta.has_tokens().await?)
    }

    /// Notes a use of a secret, by a client at `address`.
    pub fn note_use(self, id: &str, address: Option<IpAddr>) {
        self.registry.token_uses.note(id, address);
    }

    /// Writes the uses noted since the last call to the database.
    pub async fn record_uses(self) -> Result<(), Error> {
        let uses = self.registry.token_uses.take();
        if uses.is_empty() {
            return Ok(());
        }
        let record = move |tx: &WriteTx<'_>| {
            for (id, last) in &uses {
                let is_first = tx.is_unused(id)?;
                tx.record_secret_use(id, last)?;
                if is_first && let Some((token, _)) = tx.token_of_secret(id)? {
                    let actor = Actor {
                        name: Some(format!("token:{}", token.name)),
                        credential: Some(id.clone()),
                        address: last.address.clone(),
                        ..Actor::default()
                    };
                    audit(tx, AuditAction::TokenFirstUsed, &token.name, &actor)?;
                }
            }
            Ok::<_, Error>(())
        };
        self.registry.meta.write_lazily(record).await
    }
}

/// Adds a row about a token to the audit log.
fn audit(tx: &WriteTx<'_>, action: AuditAction, token: &str, actor: &Actor) -> Result<(), Error> {
    let detail = format!("token:{token}");
    let subject = AuditSubject {
        detail: Some(&detail),
        ..AuditSubject::default()
    };
    Ok(tx.audit(action, subject, actor, now())?)
}

/// Reports whether a text can be a token's name: it is part of rules, logs and command lines.
pub fn is_token_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.len() <= LONGEST_NAME
        && text.chars().all(is_part)
}
