//! The token service: tokens for credentials, and the credentials that a token proves.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::authenticator::{Issued, Known};
use super::bearer::{self, Claims, Credential, LIFETIME};
use super::record::SigningKey;
use super::scopes;
use super::secret::SentSecret;
use super::void::Void;
use crate::auth::authorization::identity::Identity;
use crate::auth::authorization::{MemberGrant, Requester};
use crate::auth::login::Rejection;
use crate::auth::password::{Credentials, Htpasswd};
use crate::auth::token::decode::{Fault, INVALID_TOKEN};

/// Token of the token service, for a while.
#[derive(Debug)]
pub struct IssuedToken {
    pub text: String,
    /// Lifetime, in seconds.
    pub lifetime: i64,
    /// Time of issue, in milliseconds since 1970.
    pub issued_at: i64,
}

/// Proof by credentials, noted before they are checked.
pub(in crate::auth) struct Proof(Credential);

impl Proof {
    /// Notes what credentials would prove.
    ///
    /// Before the check: if the password changes meanwhile, the proof is of the former one and worth nothing.
    pub(in crate::auth) async fn of(
        credentials: Option<&Credentials>,
        users: Option<&Htpasswd>,
    ) -> Self {
        let Some(Credentials { user, password }) = credentials else {
            return Self(Credential::Anonymous);
        };
        if let Some(secret) = SentSecret::parse(password) {
            return Self(Credential::Secret {
                id: secret.id().to_owned(),
            });
        }
        let fingerprint = match users {
            Some(users) => users.fingerprint_of(user).await,
            None => None,
        };
        Self(Credential::User {
            name: user.clone(),
            fingerprint: fingerprint.unwrap_or_default(),
        })
    }
}

impl Proof {
    /// Proof by a login at the issuer of the page.
    pub(in crate::auth) fn by_issuer(grant: MemberGrant) -> Self {
        Self(Credential::Member(grant))
    }

    /// Reports whether the text of a proof is of a login at the issuer of the page.
    pub(in crate::auth) fn is_by_issuer(text: &str) -> bool {
        matches!(serde_json::from_str(text), Ok(Credential::Member(_)))
    }

    /// Text of a proof, to be judged again with each request; `None` for whoever sent no credentials.
    pub(in crate::auth) fn text(self, identity: &Identity) -> Option<String> {
        let credential = match identity.trust_grant() {
            // a token of another server ends soon, and there is nobody to ask
            Some(_) => return None,
            None => self.0,
        };
        match credential {
            Credential::Anonymous => None,
            credential => serde_json::to_string(&credential).ok(),
        }
    }
}

impl Issued {
    /// Makes a token for a client whose credentials were found right, with what it may have now of the scopes.
    pub(in crate::auth) async fn issue(
        &self,
        requester: &Requester,
        Proof(noted): Proof,
        scopes: &[String],
    ) -> Result<IssuedToken, String> {
        let new = SigningKey::generate().map_err(|error| error.to_string())?;
        let key = self.source.signing_key(new).await?;
        let access = scopes::granted(requester, scopes.iter().map(String::as_str));
        let identity = requester.identity();
        let subject = identity.name().unwrap_or_default();
        let credential = match identity.trust_grant() {
            Some(grant) => Credential::Trust(grant.clone()),
            None => noted,
        };
        let signed = bearer::sign(&key, subject, credential, access);
        let (text, at) = signed.map_err(|error| error.to_string())?;
        Ok(IssuedToken {
            text,
            lifetime: LIFETIME,
            issued_at: at.as_millisecond(),
        })
    }

    /// Authenticates a token of the token service. What it proves must still be valid.
    pub(in crate::auth) async fn authenticate_bearer(
        &self,
        token: &[u8],
        address: Option<IpAddr>,
        known: Known<'_>,
    ) -> Result<Identity, Rejection> {
        let users = known.users;
        let now = Timestamp::now().as_second();
        let claims = match self.verified.get(token, now) {
            Some(claims) => claims,
            None => {
                let claims = Arc::new(self.verify_bearer(token, address, users).await?);
                self.verified.insert(token, &claims, now);
                claims
            }
        };
        let identity = self.identity(&claims.credential, address, known).await;
        let identity = identity.map_err(|void| invalid(self.reject(void, address, users)))?;
        Ok(identity.limited_to(Arc::clone(&claims.access)))
    }

    async fn verify_bearer(
        &self,
        token: &[u8],
        address: Option<IpAddr>,
        users: Option<&Htpasswd>,
    ) -> Result<Claims, Rejection> {
        let keys = self.source.verifying_keys().await.map_err(|error| {
            tracing::error!(error, "cannot read the keys of tokens");
            Rejection::Unavailable
        })?;
        match bearer::verify(token, &keys) {
            Ok(claims) => Ok(claims),
            Err(Fault::Forged(reason)) => {
                Err(invalid(self.reject(Void::Forged(reason), address, users)))
            }
            Err(fault) => {
                tracing::debug!(?address, ?fault, "token rejected");
                Err(invalid(Rejection::UNAUTHENTICATED))
            }
        }
    }

    /// Returns whom the text of a proof stands for now; `None` if it is worth nothing any more.
    ///
    /// # Errors
    /// [`Rejection::Unavailable`] if tokens cannot be read.
    pub(in crate::auth) async fn proven(
        &self,
        proof: &str,
        address: Option<IpAddr>,
        known: Known<'_>,
    ) -> Result<Option<Identity>, Rejection> {
        let Ok(credential) = serde_json::from_str(proof) else {
            return Ok(None);
        };
        match self.identity(&credential, address, known).await {
            Ok(identity) => Ok(Some(identity)),
            Err(Void::Unreadable) => Err(Rejection::Unavailable),
            Err(Void::Ended(_) | Void::Forged(_)) => Ok(None),
        }
    }

    /// Returns whom a credential stands for now.
    async fn identity(
        &self,
        credential: &Credential,
        address: Option<IpAddr>,
        Known {
            users,
            trust,
            provider,
        }: Known<'_>,
    ) -> Result<Identity, Void> {
        match credential {
            Credential::Anonymous => Ok(Identity::anonymous()),
            Credential::User { name, fingerprint } => {
                let is_same = match users {
                    Some(users) => users.has_fingerprint(name, fingerprint).await,
                    None => false,
                };
                match is_same {
                    true => Ok(Identity::user(name.clone())),
                    false => Err(Void::Ended(
                        "the password has changed: log in again".to_owned(),
                    )),
                }
            }
            Credential::Secret { id } => {
                let gone = || Void::Ended("the token was revoked long ago".to_owned());
                let record = self.record(id).await?.ok_or_else(gone)?;
                let grant = self.valid_grant(id, record, users).await?;
                self.source.note_use(id, address);
                Ok(Identity::token(grant))
            }
            Credential::Member(grant) => {
                let is_user = match users {
                    Some(users) => users.is_user(grant.name()).await,
                    None => false,
                };
                match provider {
                    Some(provider) if provider.has_accepted(grant) && !is_user => {
                        Ok(Identity::member(Arc::new(grant.clone())))
                    }
                    _ => Err(Void::Ended(
                        "the section ui.oidc or the password file has changed: log in again"
                            .to_owned(),
                    )),
                }
            }
            Credential::Trust(grant) if trust.has_accepted(grant) => {
                Ok(Identity::trust(Arc::new(grant.clone())))
            }
            Credential::Trust(_) => Err(Void::Ended(
                "the section trust has changed: log in again".to_owned(),
            )),
        }
    }
}

/// Names the error by which clients know that they need another token.
fn invalid(rejection: Rejection) -> Rejection {
    match rejection {
        Rejection::Unauthenticated { message, fault, .. } => Rejection::Unauthenticated {
            error: Some(INVALID_TOKEN),
            message,
            fault,
        },
        other => other,
    }
}
