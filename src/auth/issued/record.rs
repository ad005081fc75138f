//! Tokens as they are stored, and where they come from.

use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;

use crate::auth::authorization::{AccessRules, Identity, Requester, TokenGrant};
use crate::auth::login::RefusedLogin;

/// Stored secret with its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    pub name: String,
    /// Globs; empty if its rights are those of the access rules alone.
    pub repositories: Vec<String>,
    /// Actions, separated by commas.
    pub may: String,
    /// User whose rights it never exceeds.
    pub owner: Option<String>,
    /// SHA-256 of the whole secret.
    pub hash: Vec<u8>,
    /// Times in milliseconds since 1970.
    pub expires_at: Option<i64>,
    /// Time of the rotation that made another secret.
    pub replaced_at: Option<i64>,
    pub revoked_at: Option<i64>,
}

impl TokenRecord {
    /// Returns why a secret is not valid at a time, in milliseconds since 1970; `None` if it is.
    pub fn reason_against(&self, now: i64) -> Option<String> {
        let name = &self.name;
        if let Some(revoked) = self.revoked_at {
            return Some(format!("the token {name} was revoked at {}", time(revoked)));
        }
        let expired = self.expires_at.filter(|expires| *expires <= now)?;
        Some(match self.replaced_at {
            Some(replaced) => format!(
                "the token {name} got another secret at {}, and this one ended at {}",
                time(replaced),
                time(expired)
            ),
            None => format!(
                "the token {name} expired at {}: make another secret with registry token rotate {name}",
                time(expired)
            ),
        })
    }

    /// Reads what it grants to the bearer of the secret of that id.
    pub(super) fn grant(&self, secret: &str) -> TokenGrant {
        let owner = self.owner.as_deref();
        TokenGrant::read(secret, &self.name, owner, &self.repositories, &self.may)
    }

    /// Returns the client that its bearer is, for questions about its rights.
    pub fn bearer(&self, address: Option<IpAddr>, rules: Option<Arc<AccessRules>>) -> Requester {
        Requester {
            identity: Identity::token(Arc::new(self.grant(""))),
            address,
            rules,
        }
    }
}

fn time(millis: i64) -> String {
    Timestamp::from_millisecond(millis).map_or_else(|_| String::new(), |time| format!("{time:.0}"))
}

/// Key that signs and verifies tokens of the token service.
#[derive(Clone)]
pub struct SigningKey {
    pub id: String,
    pub secret: Vec<u8>,
}

/// Answer to be waited for; the error is for the log.
pub type Answer<'s, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 's>>;

/// Store of tokens and keys. Each answer is as of the last change: nothing that was revoked is found valid.
pub trait TokenSource: Send + Sync {
    /// Returns the secret with this id. An unchanged one may be the same in memory.
    fn token<'s>(&'s self, id: &'s str) -> Answer<'s, Option<Arc<TokenRecord>>>;

    /// Reports whether there is a token that was not revoked.
    fn has_tokens(&self) -> Answer<'_, bool>;

    /// Returns the keys that verify.
    fn verifying_keys(&self) -> Answer<'_, Vec<SigningKey>>;

    /// Returns the key that signs: `new` if another is needed.
    fn signing_key(&self, new: SigningKey) -> Answer<'_, SigningKey>;

    /// Returns the keys of an issuer that were stored last (JSON Web Key Set).
    fn issuer_keys<'s>(&'s self, issuer: &'s str) -> Answer<'s, Option<String>>;

    /// Stores the keys of an issuer, for the time in which it cannot be reached.
    fn keep_issuer_keys<'s>(&'s self, issuer: &'s str, keys: String) -> Answer<'s, ()>;

    /// Notes that a secret was used by a client at an address.
    fn note_use(&self, id: &str, address: Option<IpAddr>);

    /// Notes that a login was refused.
    fn note_refused(&self, refused: RefusedLogin<'_>);

    /// Returns the time by which expiry is judged, in milliseconds since 1970.
    fn now(&self) -> i64;
}

impl fmt::Debug for dyn TokenSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenSource")
    }
}
