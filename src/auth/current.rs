//! Judgement of requests by the settings in force.

use std::sync::Arc;

use super::authenticator::Authenticator;
use super::authorization::identity::Identity;
use super::authorization::scope::{Permission, RequiredScopes, Resource, Scope};
use super::authorization::{Requester, is_allowed, is_authorized};
use super::challenge;
use super::error::Error;
use super::issued::{Issued, IssuedToken, Known, Proof};
use super::login::{FormLogin, Login, Refusal, Rejection, Site, TokenRequest};
use super::password::Credentials;
use super::settings::{Challenge, Method, Settings};
use super::stats::Stats;
use super::token::decode::bearer;
use super::trust::{Issuers, Judge, Trust};

/// The challenge's `error` for a token without the required scopes (RFC 6750, section 3.1).
const INSUFFICIENT_SCOPE: &str = "insufficient_scope";
/// Name of this registry in challenges for tokens of its own service.
const SERVICE: &str = "registry";
/// Realm of challenges without a file of users.
const REALM: &str = "registry";

/// The settings in force, and the authenticator that was made from them.
pub(super) struct Current {
    pub(super) settings: Settings,
    pub(super) authenticator: Arc<Authenticator>,
    pub(super) trust: Trust,
}

/// State that outlives a change of the settings.
pub(super) struct Kept {
    pub(super) stats: Stats,
    /// Tokens, which count with every method.
    pub(super) issued: Issued,
    /// Keys of trusted issuers.
    pub(super) issuers: Issuers,
}

/// Requirements of a request, and the place to which it was sent.
#[derive(Clone, Copy)]
pub(super) struct Asked<'r> {
    pub(super) scopes: &'r RequiredScopes,
    /// URLs of this registry as the client knows them, on demand.
    pub(super) site: &'r (dyn Fn() -> Site + Sync),
}

impl Current {
    pub(super) fn open(settings: Settings, issuers: &Issuers) -> Result<Self, Error> {
        let authenticator = Arc::new(Authenticator::open(&settings.method)?);
        Ok(Self::with(settings, authenticator, issuers))
    }

    pub(super) fn with(
        settings: Settings,
        authenticator: Arc<Authenticator>,
        issuers: &Issuers,
    ) -> Self {
        Self {
            trust: Trust::new(&settings.trust, issuers),
            authenticator,
            settings,
        }
    }

    /// Returns whom the session of a request stands for.
    async fn proven(
        &self,
        proof: &str,
        login: Login<'_>,
        kept: &Kept,
    ) -> Result<Option<Identity>, Rejection> {
        let known = Known {
            users: self.authenticator.users(),
            trust: &self.trust,
        };
        kept.issued.proven(proof, login.address, known).await
    }

    /// Checks credentials from a form.
    pub(super) async fn log_in(
        &self,
        login: Login<'_>,
        credentials: Option<Credentials>,
        kept: &Kept,
    ) -> Result<FormLogin, Refusal> {
        let refused = |message, fault| Refusal::Challenge {
            challenge: self.basic_challenge(),
            message,
            fault,
        };
        if credentials.is_none() {
            return Err(refused(None, Some("no user and password")));
        }
        let proof = Proof::of(credentials.as_ref(), self.authenticator.users()).await;
        match self.authenticate_by(login, credentials, kept).await {
            Ok(identity) => {
                let name = identity.name().map(str::to_owned);
                let proven = name.zip(proof.text(&identity));
                let proven = proven.map(|(name, proof)| FormLogin {
                    credential: identity.credential().map(str::to_owned),
                    name,
                    proof,
                });
                proven.ok_or_else(|| refused(None, Some("no login of this registry")))
            }
            Err(Rejection::Unauthenticated { message, fault, .. }) => Err(refused(message, fault)),
            Err(rejection) => Err(rejection.into()),
        }
    }

    pub(super) async fn admit(
        &self,
        login: Login<'_>,
        asked: Asked<'_>,
        kept: &Kept,
    ) -> Result<Requester, Refusal> {
        let proven = match login.session {
            // boxed: every open connection reserves room for the largest future of a request
            Some(proof) => Box::pin(self.proven(proof, login, kept)).await?,
            None => None,
        };
        let login = Login {
            // a session that is worth nothing is none
            session: login.session.filter(|_| proven.is_some()),
            ..login
        };
        let (is_absent, has_rules) = (login.is_absent(), self.settings.rules.is_some());
        let identity = if self.is_open() || (has_rules && is_absent) {
            Ok(Identity::anonymous())
        } else if let Some(identity) = proven {
            Ok(identity)
        } else {
            self.authenticate(login, kept).await
        };
        let requester = match identity {
            Ok(identity) => self.requester(identity, login),
            Err(Rejection::Unauthenticated {
                error,
                message,
                fault,
            }) => {
                let challenge = self.challenge(asked, error, kept).await;
                return Err(Refusal::Challenge {
                    challenge,
                    message,
                    fault,
                });
            }
            Err(rejection) => return Err(rejection.into()),
        };
        let required = &asked.scopes.required;
        // clients learn from this request how to log in
        if required.is_empty() {
            let is_unproven = is_absent || !has_rules && self.is_anonymous(&requester);
            return match is_unproven && self.can_log_in(kept).await {
                true => Err(self.challenged(asked, None, kept).await),
                false => Ok(requester),
            };
        }
        let mut required = required.iter();
        let Some(denied) = required.find(|scope| !is_authorized(&requester, scope)) else {
            return Ok(requester);
        };
        let error = (!is_absent).then_some(INSUFFICIENT_SCOPE);
        let may_log_in =
            (is_absent || self.is_anonymous(&requester)) && self.can_log_in(kept).await;
        Err(match may_log_in || is_allowed(&requester, denied) {
            true => self.challenged(asked, error, kept).await,
            false => refusal(&requester, denied),
        })
    }

    /// Refuses a request whose login is right or absent, by a challenge.
    async fn challenged(&self, asked: Asked<'_>, error: Option<&str>, kept: &Kept) -> Refusal {
        Refusal::Challenge {
            challenge: self.challenge(asked, error, kept).await,
            message: None,
            fault: None,
        }
    }

    fn requester(&self, identity: Identity, login: Login<'_>) -> Requester {
        Requester {
            identity,
            address: login.address,
            rules: self.settings.rules.clone(),
        }
    }

    /// Reports whether a client is known to be nobody. A token of another server may name nobody and still be a login.
    fn is_anonymous(&self, requester: &Requester) -> bool {
        self.has_token_service() && requester.identity.name().is_none()
    }

    /// Reports whether there is any login.
    pub(super) async fn can_log_in(&self, kept: &Kept) -> bool {
        self.settings.method != Method::None
            || !self.trust.is_empty()
            || (!self.is_open() && kept.issued.has_tokens().await)
    }

    /// Reports whether the token service is this registry's.
    fn has_token_service(&self) -> bool {
        match &*self.authenticator {
            Authenticator::None | Authenticator::Htpasswd(_) => !self.is_open(),
            Authenticator::Silly(_) | Authenticator::Token(_) => false,
        }
    }

    /// Returns the value of `WWW-Authenticate` for a request.
    async fn challenge(
        &self,
        Asked { scopes, site }: Asked<'_>,
        error: Option<&str>,
        kept: &Kept,
    ) -> String {
        let Site { address, base } = site();
        if let Some(challenge) = self.authenticator.challenge(scopes, &address, error) {
            return challenge;
        }
        let rules = self.settings.rules.as_ref();
        let is_bearer = match self.settings.challenge {
            Challenge::Basic => false,
            Challenge::Bearer => true,
            Challenge::Auto => {
                rules.is_some_and(|rules| rules.has_anonymous())
                    || !self.trust.is_empty()
                    || kept.issued.has_tokens().await
            }
        };
        match is_bearer {
            true => challenge::bearer(&format!("{base}/v2/_token"), SERVICE, scopes, error),
            false => self.basic_challenge(),
        }
    }

    fn basic_challenge(&self) -> String {
        challenge::basic(match self.authenticator.users() {
            Some(users) => users.realm(),
            None => REALM,
        })
    }

    /// Finds out who makes a request.
    async fn authenticate(&self, login: Login<'_>, kept: &Kept) -> Result<Identity, Rejection> {
        if self.has_token_service()
            && let Some(token) = login.authorization.and_then(bearer)
        {
            let known = Known {
                users: self.authenticator.users(),
                trust: &self.trust,
            };
            let issued = &kept.issued;
            return Box::pin(issued.authenticate_bearer(token, login.address, known)).await;
        }
        self.authenticate_by(login, Credentials::of(login), kept)
            .await
    }

    /// Finds out whose credentials they are: a token's, or those that the method knows.
    async fn authenticate_by(
        &self,
        login: Login<'_>,
        credentials: Option<Credentials>,
        kept: &Kept,
    ) -> Result<Identity, Rejection> {
        if let Some(Credentials { password, .. }) = &credentials {
            let users = self.authenticator.users();
            let token = kept.issued.authenticate(password, login.address, users);
            if let Some(outcome) = Box::pin(token).await {
                return outcome;
            }
            if self.trust.is_token(password) {
                return Box::pin(self.authenticate_trusted(password, login, kept)).await;
            }
        }
        let authenticator = &self.authenticator;
        authenticator
            .authenticate(login, credentials, &kept.stats)
            .await
    }

    /// Finds out whose token of another server it is.
    async fn authenticate_trusted(
        &self,
        token: &[u8],
        login: Login<'_>,
        kept: &Kept,
    ) -> Result<Identity, Rejection> {
        let rules = self.settings.rules.as_ref();
        let judge = Judge {
            store: &*kept.issued.source,
            claims: &rules.map(|rules| rules.claims()).unwrap_or_default(),
        };
        let verified = self.trust.verify(token, judge).await;
        let users = self.authenticator.users();
        verified
            .map(Identity::trust)
            .map_err(|void| kept.issued.reject(void, login.address, users))
    }

    /// Makes a token for whoever sends credentials, or none.
    ///
    /// A token of the service gets no other one: it would never end.
    pub(super) async fn issue(
        &self,
        request: TokenRequest<'_>,
        kept: &Kept,
    ) -> Result<IssuedToken, Refusal> {
        if !self.has_token_service() {
            return Err(Refusal::NoTokenService);
        }
        let refused = |message, fault| Refusal::Challenge {
            challenge: self.basic_challenge(),
            message,
            fault,
        };
        let TokenRequest {
            login,
            credentials,
            scopes,
        } = request;
        let is_absent = credentials.is_none() && login.is_absent();
        let credentials = match credentials {
            Some((user, password)) => Credentials::new(user, password),
            None => Credentials::of(login).filter(|_| !is_absent),
        };
        let proof = Proof::of(credentials.as_ref(), self.authenticator.users()).await;
        let identity = match (is_absent, &self.settings.rules) {
            (true, Some(_)) => Ok(Identity::anonymous()),
            (true, None) => Err(Rejection::UNAUTHENTICATED),
            (false, _) => self.authenticate_by(login, credentials, kept).await,
        };
        let identity = match identity {
            // without users every password is accepted, and proves nothing
            Ok(identity) if !is_absent && identity.name().is_none() => {
                return Err(refused(None, Some("no token and no user")));
            }
            Ok(identity) => identity,
            Err(Rejection::Unauthenticated { message, fault, .. }) => {
                return Err(refused(message, fault));
            }
            Err(rejection) => return Err(rejection.into()),
        };
        let requester = self.requester(identity, login);
        let issued = kept.issued.issue(&requester, proof, scopes).await;
        issued.map_err(|error| {
            tracing::error!(error, "cannot make a token");
            Refusal::Unavailable
        })
    }

    /// Reports whether every request is allowed without a login.
    pub(super) fn is_open(&self) -> bool {
        self.settings.method == Method::None && self.settings.rules.is_none()
    }
}

/// Refuses what access rules deny. A repository that the client may not see does not exist for it.
fn refusal(requester: &Requester, denied: &Scope) -> Refusal {
    match &denied.resource {
        Resource::Repository(name)
            if !is_authorized(requester, &Scope::repository(name, Permission::Pull)) =>
        {
            Refusal::Hidden(name.clone())
        }
        _ => Refusal::Denied(denied.clone()),
    }
}
