//! Tokens that another server signs (distribution's `docs/content/spec/auth/{token,jwt,scope}.md`).

mod bundle;
mod jwks;
mod key;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header};
use serde::Deserialize;

use super::file_watch::FileWatch;
use super::identity::Grant;
use super::throttle::{FailedLogin, Throttle};
use super::{Error, Identity, Login, Refusal, challenge};
use bundle::Bundle;
use jwks::Jwks;
use key::{Key, Malformed};

use crate::client_key;
use crate::log_limit::LogLimiter;

/// Whose tokens are taken, and where clients get them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The token server's URL.
    pub realm: String,
    /// What tokens must be meant for.
    pub service: String,
    /// Who must have made them.
    pub issuer: String,
    /// PEM: certificates whose keys sign tokens, or sign the certificates of keys that do.
    pub root_certificates: Option<PathBuf>,
    /// A JSON Web Key Set (RFC 7517).
    pub jwks: Option<PathBuf>,
    /// Those taken; all that there are where it is empty.
    pub algorithms: Vec<String>,
    /// The path of the token server beside this one: the realm is then made of it and the name that the client uses.
    pub redirect_path: Option<String>,
}

/// Lets in whoever brings a token.
pub struct Token {
    settings: Settings,
    algorithms: Vec<Algorithm>,
    bundle: Option<Arc<FileWatch<Bundle>>>,
    jwks: Option<Arc<FileWatch<Jwks>>>,
    throttle: Throttle,
    unfit: LogLimiter<(Option<IpAddr>, &'static str)>,
}

/// How often the log says why tokens of an address are not taken; and how many such lines there are in that time at the most.
const UNFIT_EVERY: Duration = Duration::from_secs(3600);
const UNFIT: usize = 500;

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Time has gone by, as it does: clients get another one.
    Expired,
    /// It may be an honest one of some server, and not fit this registry as it is configured.
    Unfit(&'static str),
    /// No server has made this.
    Forged(&'static str),
}

impl From<Malformed> for Fault {
    fn from(Malformed(why): Malformed) -> Self {
        Self::Unfit(why)
    }
}

/// What a token says. The times and the audience are checked where it is decoded.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    access: Option<Vec<Grant>>,
}

impl Token {
    pub(super) fn open(settings: Settings) -> Result<Self, Error> {
        let algorithms = key::algorithms(&settings.algorithms).map_err(Error::Token)?;
        if settings.root_certificates.is_none() && settings.jwks.is_none() {
            return Err(Error::Token(
                "nothing would sign tokens: auth.token takes a rootcertbundle, a jwks or both"
                    .to_owned(),
            ));
        }
        let bundle = settings
            .root_certificates
            .clone()
            .map(|path| FileWatch::open("auth.token.rootcertbundle", path, Bundle::parse));
        let jwks = settings
            .jwks
            .clone()
            .map(|path| FileWatch::open("auth.token.jwks", path, Jwks::parse));
        let (bundle, jwks) = (
            bundle.transpose()?.map(Arc::new),
            jwks.transpose()?.map(Arc::new),
        );
        let unfit = LogLimiter::new("tokens that are not taken", UNFIT_EVERY, UNFIT);
        Ok(Self {
            settings,
            algorithms,
            bundle,
            jwks,
            throttle: Throttle::default(),
            unfit,
        })
    }

    pub(super) async fn admit(&self, login: Login<'_>) -> Result<Identity, Refusal> {
        let refusal = |error| Refusal::Challenge(self.challenge(&login, error));
        let Some(token) = login.authorization.and_then(bearer) else {
            return Err(refusal(None));
        };
        let identity = match self.verify(token).await {
            Ok(identity) => identity,
            Err(fault) => {
                let refusal = refusal(Some("invalid_token"));
                return Err(self
                    .take_down(fault, login.address)
                    .map_or(refusal, |wait| Refusal::TooMany { wait }));
            }
        };
        if identity.may_all(login.wanted) {
            Ok(identity)
        } else {
            Err(refusal(Some("insufficient_scope")))
        }
    }

    /// Has the files looked at.
    pub(super) async fn look(&self) {
        current(self.bundle.as_ref()).await;
        current(self.jwks.as_ref()).await;
    }

    fn challenge(&self, login: &Login<'_>, error: Option<&str>) -> String {
        let Settings {
            realm,
            service,
            redirect_path,
            ..
        } = &self.settings;
        match redirect_path {
            Some(path) => challenge::bearer(
                &format!("{}{path}", login.site),
                service,
                login.wanted,
                error,
            ),
            None => challenge::bearer(realm, service, login.wanted, error),
        }
    }

    /// Says what is wrong with a token. Whoever sends much that no server has made has to wait, though not with a good one: to
    /// check a token costs little, and clients behind one address have nothing to do with each other.
    fn take_down(&self, fault: Fault, address: Option<IpAddr>) -> Option<Duration> {
        match fault {
            // nobody is to be locked out for a push that takes longer than a token lasts
            Fault::Expired => tracing::debug!(?address, "a token has expired"),
            // nor for what the owners of the two servers have not agreed upon, or a key that has come into use just now
            Fault::Unfit(reason) => {
                if self.unfit.may_say((address.map(client_key::of), reason)) {
                    let address =
                        address.map_or_else(|| "unix".to_owned(), |address| address.to_string());
                    tracing::warn!(address, reason, "a token is not taken");
                }
            }
            // whose it is says nobody who can be believed
            Fault::Forged(reason) => {
                return self.throttle.turn_away(
                    FailedLogin {
                        fingerprint: None,
                        user: "",
                        address,
                        reason,
                    },
                    Instant::now(),
                );
            }
        }
        None
    }

    /// Checks signature and claims.
    async fn verify(&self, token: &[u8]) -> Result<Identity, Fault> {
        let header =
            jsonwebtoken::decode_header(token).map_err(|_| Fault::Forged("malformed token"))?;
        // RFC 7515, section 4.1.11: what must be understood is not
        if header.crit.is_some() {
            return Err(Fault::Unfit("token with critical extensions"));
        }
        let key = self.key_for(&header).await?;
        let mut validation = key
            .validation(&self.algorithms, header.alg)
            .ok_or(Fault::Unfit("token signed with another algorithm"))?;
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.set_audience(&[&self.settings.service]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY_SECONDS;
        let claims = jsonwebtoken::decode::<Claims>(token, key.decoding(), &validation)
            .map_err(|error| fault(error.kind()))?
            .claims;
        // here, for a list would do for the library, and not for the specification
        if claims.iss != self.settings.issuer {
            return Err(Fault::Unfit("token of another issuer"));
        }
        Ok(Identity::bearer(
            claims.sub,
            claims.access.unwrap_or_default(),
        ))
    }

    /// The trusted key that a token names.
    async fn key_for(&self, header: &Header) -> Result<Key, Fault> {
        let (bundle, jwks) = (
            recent(self.bundle.as_ref()).await,
            recent(self.jwks.as_ref()).await,
        );
        if let Ok(key) = key_in(bundle.as_deref(), jwks.as_deref(), header) {
            return Ok(key);
        }
        // one that was not known a moment ago may be in a file by now
        let (bundle, jwks) = (
            current(self.bundle.as_ref()).await,
            current(self.jwks.as_ref()).await,
        );
        key_in(bundle.as_deref(), jwks.as_deref(), header).map_err(Fault::from)
    }
}

async fn recent<T: Send + Sync + 'static>(file: Option<&Arc<FileWatch<T>>>) -> Option<Arc<T>> {
    Some(file?.recent().await)
}

async fn current<T: Send + Sync + 'static>(file: Option<&Arc<FileWatch<T>>>) -> Option<Arc<T>> {
    Some(file?.current().await)
}

/// A key by a chain of certificates that leads to the bundle, or by its id.
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
    // of a key that the token brings along nothing is believed; it may only name one that is trusted
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

/// How far the clocks of two servers may be apart, as distribution has it.
const LEEWAY_SECONDS: u64 = 60;

/// The token in a header (RFC 6750, section 2.1).
fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked(7)?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token)
}

fn fault(error: &ErrorKind) -> Fault {
    match error {
        ErrorKind::ExpiredSignature => Fault::Expired,
        ErrorKind::ImmatureSignature => Fault::Unfit("token that is not yet valid"),
        ErrorKind::InvalidAudience => Fault::Unfit("token for another service"),
        ErrorKind::InvalidSignature => Fault::Forged("token with a wrong signature"),
        ErrorKind::MissingRequiredClaim(_) => {
            Fault::Unfit("token without issuer, audience or expiry")
        }
        // what is signed is read once the signature has been found good
        ErrorKind::Json(_) => Fault::Unfit("token with malformed claims"),
        _ => Fault::Forged("malformed token"),
    }
}

#[cfg(test)]
mod tests;
