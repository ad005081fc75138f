//! Authentication by tokens.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::record::{TokenRecord, TokenSource};
use super::secret::SentSecret;
use super::verified::VerifiedTokens;
use super::void::Void;
use crate::auth::authorization::TokenGrant;
use crate::auth::authorization::identity::Identity;
use crate::auth::login::{RefusedLogin, Rejection};
use crate::auth::oidc::Provider;
use crate::auth::password::Htpasswd;
use crate::auth::throttle::{FailedLogin, Throttle};
use crate::auth::trust::Trust;

/// Maximum length of a name, or of a user agent, in the audit log of refused logins.
const LONGEST_TEXT: usize = 100;
/// Maximum number of grants kept in memory.
const GRANTS: usize = 1000;

/// Authenticator of tokens, for every method of authentication.
pub(in crate::auth) struct Issued {
    pub(in crate::auth) source: Arc<dyn TokenSource>,
    /// By id of the secret.
    grants: Mutex<HashMap<String, ReadGrant>>,
    pub(super) verified: VerifiedTokens,
    /// For methods without passwords.
    throttle: Throttle,
}

/// Grant, with the record that it was read from.
type ReadGrant = (Arc<TokenRecord>, Arc<TokenGrant>);

/// Users and issuers by which proofs are judged that tokens of the service carry.
#[derive(Clone, Copy)]
pub(in crate::auth) struct Known<'k> {
    pub(in crate::auth) users: Option<&'k Htpasswd>,
    pub(in crate::auth) trust: &'k Trust,
    pub(in crate::auth) provider: Option<&'k Provider>,
}

impl Issued {
    pub(in crate::auth) fn new(source: Arc<dyn TokenSource>) -> Self {
        Self {
            source,
            grants: Mutex::default(),
            verified: VerifiedTokens::default(),
            throttle: Throttle::default(),
        }
    }

    /// Reports whether there is a token that was not revoked; false if that cannot be read.
    pub(in crate::auth) async fn has_tokens(&self) -> bool {
        self.source.has_tokens().await.unwrap_or_else(|error| {
            tracing::error!(error, "cannot read tokens");
            false
        })
    }

    /// Notes that a login was refused.
    pub(in crate::auth) fn note_refused(&self, refused: RefusedLogin<'_>) {
        // a client chooses them
        let cut = |text: &str| text.chars().take(LONGEST_TEXT).collect::<String>();
        self.source.note_refused(RefusedLogin {
            user: &cut(refused.user),
            user_agent: refused.user_agent.map(cut).as_deref(),
            // it may quote an issuer's answer
            reason: refused.reason.map(cut).as_deref(),
            ..refused
        });
    }

    /// Authenticates a password that is a token; `None` if it is none. `users` are those whose tokens may be valid.
    ///
    /// A valid token is accepted during a lockout: nobody guesses one, and clients behind one address are strangers to each
    /// other.
    pub(in crate::auth) async fn authenticate(
        &self,
        password: &[u8],
        address: Option<IpAddr>,
        users: Option<&Htpasswd>,
    ) -> Option<Result<Identity, Rejection>> {
        let secret = SentSecret::parse(password)?;
        let grant = self.verify(&secret, users).await;
        Some(match grant {
            Ok(grant) => {
                self.source.note_use(secret.id(), address);
                Ok(Identity::token(grant))
            }
            Err(fault) => Err(self.reject(fault, address, users)),
        })
    }

    async fn verify(
        &self,
        secret: &SentSecret<'_>,
        users: Option<&Htpasswd>,
    ) -> Result<Arc<TokenGrant>, Void> {
        let record = self.record(secret.id()).await?;
        let record = record.ok_or(Void::Forged("unknown token"))?;
        if !secret.has_hash(&record.hash) {
            return Err(Void::Forged("wrong token"));
        }
        self.valid_grant(secret.id(), record, users).await
    }

    pub(super) async fn record(&self, id: &str) -> Result<Option<Arc<TokenRecord>>, Void> {
        self.source.token(id).await.map_err(|error| {
            tracing::error!(error, "cannot read tokens");
            Void::Unreadable
        })
    }

    /// Returns the grant of a secret that is valid now.
    pub(super) async fn valid_grant(
        &self,
        id: &str,
        record: Arc<TokenRecord>,
        users: Option<&Htpasswd>,
    ) -> Result<Arc<TokenGrant>, Void> {
        if let Some(reason) = record.reason_against(self.source.now()) {
            return Err(Void::Ended(reason));
        }
        if let Some(owner) = &record.owner
            && !is_user(users, owner).await
        {
            let name = &record.name;
            return Err(Void::Ended(format!(
                "the token {name} is void, because its user {owner} does not exist any more"
            )));
        }
        Ok(self.grant(id, record))
    }

    /// Returns the grant of a record, which is read once for as long as the record stays the same.
    fn grant(&self, id: &str, record: Arc<TokenRecord>) -> Arc<TokenGrant> {
        let mut grants = self.grants.lock();
        if let Some((known, grant)) = grants.get(id)
            && (Arc::ptr_eq(known, &record) || *known == record)
        {
            return Arc::clone(grant);
        }
        let grant = Arc::new(record.grant(id));
        if grants.len() >= GRANTS {
            grants.clear();
        }
        grants.insert(id.to_owned(), (record, Arc::clone(&grant)));
        grant
    }

    /// Counts a forged token with the wrong passwords of the same address.
    pub(in crate::auth) fn reject(
        &self,
        fault: Void,
        address: Option<IpAddr>,
        users: Option<&Htpasswd>,
    ) -> Rejection {
        match fault {
            // no failed login: whoever has it was given it
            Void::Ended(message) => {
                tracing::debug!(?address, message, "token refused");
                Rejection::Unauthenticated {
                    error: None,
                    message: Some(message),
                    fault: None,
                }
            }
            Void::Forged(reason) => {
                let failed = FailedLogin {
                    fingerprint: None,
                    user: "",
                    address,
                    reason,
                };
                let throttle = users.map_or(&self.throttle, Htpasswd::throttle);
                match throttle.check_lockout(failed, Instant::now()) {
                    Some(wait) => Rejection::Throttled { wait },
                    None => Rejection::wrong(reason),
                }
            }
            Void::Unreadable => Rejection::Unavailable,
        }
    }
}

async fn is_user(users: Option<&Htpasswd>, name: &str) -> bool {
    match users {
        Some(users) => users.is_user(name).await,
        None => false,
    }
}
