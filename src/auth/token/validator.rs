//! Validation of bearer tokens.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, Header};
use serde::Deserialize;

use super::bundle::Bundle;
use super::decode::{Fault, INVALID_TOKEN, bearer, decode};
use super::jwks::Jwks;
use super::key::{self, Key, Malformed};
use super::settings::Settings;
use crate::auth::authorization::identity::{Grant, Identity};
use crate::auth::authorization::scope::RequiredScopes;
use crate::auth::challenge;
use crate::auth::error::Error;
use crate::auth::login::{Login, Rejection};
use crate::auth::throttle::{FailedLogin, Throttle};
use crate::client_key;
use crate::files::file_watch::ParsedFile;
use crate::log_limit::LogLimiter;

/// Period in which each reason for rejecting an address' tokens is logged once.
const UNFIT_LOG_PERIOD: Duration = Duration::from_secs(3600);
/// Maximum number of such lines in the period.
const UNFIT_LOG_LINES: usize = 500;

/// Authenticator of the bearers of valid tokens.
pub(in crate::auth) struct Validator {
    settings: Settings,
    algorithms: Vec<Algorithm>,
    bundle: Option<Arc<ParsedFile<Bundle>>>,
    pub(super) jwks: Option<Arc<ParsedFile<Jwks>>>,
    throttle: Throttle,
    unfit: LogLimiter<(Option<IpAddr>, &'static str)>,
}

/// Claims of a token. Times and audience are checked where it is decoded.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    access: Option<Vec<Grant>>,
}

impl Validator {
    pub(in crate::auth) fn open(settings: Settings) -> Result<Self, Error> {
        let algorithms = key::algorithms(&settings.algorithms).map_err(Error::Token)?;
        if settings.root_certificates.is_none() && settings.jwks.is_none() {
            return Err(Error::Token(
                "auth.token has no key to verify tokens with: give a rootcertbundle, a jwks or both"
                    .to_owned(),
            ));
        }
        let bundle = settings
            .root_certificates
            .clone()
            .map(|path| ParsedFile::open("auth.token.rootcertbundle", path, Bundle::parse));
        let jwks = settings.jwks.clone().map(|path| {
            ParsedFile::open("auth.token.jwks", path, |set: &[u8]| {
                Jwks::parse("auth.token.jwks", set)
            })
        });
        Ok(Self {
            settings,
            algorithms,
            bundle: bundle.transpose()?.map(Arc::new),
            jwks: jwks.transpose()?.map(Arc::new),
            throttle: Throttle::default(),
            unfit: LogLimiter::new("token rejected", UNFIT_LOG_PERIOD, UNFIT_LOG_LINES),
        })
    }

    pub(in crate::auth) async fn authenticate(
        &self,
        login: Login<'_>,
    ) -> Result<Identity, Rejection> {
        let Some(token) = login.authorization.and_then(bearer) else {
            return Err(Rejection::UNAUTHENTICATED);
        };
        self.verify(token).await.map_err(|fault| {
            let guess = match &fault {
                Fault::Forged(reason) => Some(*reason),
                Fault::Expired | Fault::Unfit(_) => None,
            };
            match self.record(fault, login.address) {
                Some(wait) => Rejection::Throttled { wait },
                None => Rejection::Unauthenticated {
                    error: Some(INVALID_TOKEN),
                    message: None,
                    fault: guess,
                },
            }
        })
    }

    /// Reads the files again if they have changed.
    pub(in crate::auth) async fn refresh(&self) {
        current(self.bundle.as_ref()).await;
        current(self.jwks.as_ref()).await;
    }

    /// Returns a challenge that sends the client to the token server.
    pub(in crate::auth) fn challenge(
        &self,
        scopes: &RequiredScopes,
        site: &str,
        error: Option<&str>,
    ) -> String {
        let Settings {
            realm,
            service,
            redirect_path,
            ..
        } = &self.settings;
        match redirect_path {
            Some(path) => challenge::bearer(&format!("{site}{path}"), service, scopes, error),
            None => challenge::bearer(realm, service, scopes, error),
        }
    }

    /// Logs a rejected token, and counts a forged one as a failed login.
    ///
    /// Returns the time left if the address is locked out.
    ///
    /// A valid token is accepted during a lockout: verifying one is cheap, and clients behind one address are strangers to
    /// each other.
    fn record(&self, fault: Fault, address: Option<IpAddr>) -> Option<Duration> {
        match fault {
            // no lockout for a push that takes longer than its token lasts
            Fault::Expired => {
                tracing::debug!(?address, "token expired");
                None
            }
            // nor for servers configured differently, or a key that has come into use just now
            Fault::Unfit(reason) => {
                if self.unfit.may_log((address.map(client_key::of), reason)) {
                    let address =
                        address.map_or_else(|| "unix".to_owned(), |address| address.to_string());
                    tracing::warn!(address, reason, "token rejected");
                }
                None
            }
            // its user's name is not to be trusted
            Fault::Forged(reason) => {
                let failed = FailedLogin {
                    fingerprint: None,
                    user: "",
                    address,
                    reason,
                };
                self.throttle.check_lockout(failed, Instant::now())
            }
        }
    }

    /// Verifies a token's signature and claims.
    pub(super) async fn verify(&self, token: &[u8]) -> Result<Identity, Fault> {
        let header =
            jsonwebtoken::decode_header(token).map_err(|_| Fault::Forged("malformed token"))?;
        // extensions that must be understood are not (RFC 7515, section 4.1.11)
        if header.crit.is_some() {
            return Err(Fault::Unfit("token with critical extensions"));
        }
        let key = self.key_for(&header).await?;
        let validation = key
            .validation(&self.algorithms, header.alg)
            .ok_or(Fault::Unfit("token signed with another algorithm"))?;
        let claims: Claims = decode(token, key.decoding(), validation, &self.settings.service)?;
        // the library would accept a list, which the specification does not allow
        if claims.iss != self.settings.issuer {
            return Err(Fault::Unfit("token of another issuer"));
        }
        Ok(Identity::bearer(
            claims.sub,
            claims.access.unwrap_or_default(),
        ))
    }

    /// Returns the trusted key that a token names.
    async fn key_for(&self, header: &Header) -> Result<Key, Fault> {
        let (bundle, jwks) = (
            recent(self.bundle.as_ref()).await,
            recent(self.jwks.as_ref()).await,
        );
        if let Ok(key) = key_in(bundle.as_deref(), jwks.as_deref(), header) {
            return Ok(key);
        }
        // a key missing a moment ago may have been added since
        let (bundle, jwks) = (
            current(self.bundle.as_ref()).await,
            current(self.jwks.as_ref()).await,
        );
        key_in(bundle.as_deref(), jwks.as_deref(), header).map_err(Fault::from)
    }
}

async fn recent<T: Send + Sync + 'static>(file: Option<&Arc<ParsedFile<T>>>) -> Option<Arc<T>> {
    Some(file?.recent().await)
}

async fn current<T: Send + Sync + 'static>(file: Option<&Arc<ParsedFile<T>>>) -> Option<Arc<T>> {
    Some(file?.current().await)
}

/// Finds a key by certificates that lead to the bundle, or by its id.
fn key_in(bundle: Option<&Bundle>, jwks: Option<&Jwks>, header: &Header) -> Result<Key, Malformed> {
    let embedded = header.jwk.as_ref();
    let chain = header
        .x5c
        .as_deref()
        .or_else(|| embedded.and_then(|jwk| jwk.common.x509_chain.as_deref()));
    let by_chain = bundle
        .zip(chain)
        .map(|(bundle, chain)| bundle.key_of_chain(chain));
    if let Some(Ok(key)) = by_chain {
        return Ok(key);
    }
    // a key inside the token is not trusted; it may only name one that is
    let id = header
        .kid
        .as_deref()
        .or_else(|| embedded.and_then(|jwk| jwk.common.key_id.as_deref()));
    let Some(id) = id else {
        return by_chain.unwrap_or(Err(Malformed("token that names no key")));
    };
    let by_id = bundle
        .and_then(|bundle| bundle.key(id))
        .or_else(|| jwks.and_then(|jwks| jwks.key(id)));
    by_id.cloned().ok_or(Malformed("token of an unknown key"))
}
