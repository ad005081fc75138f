//! Admission of requests, by settings that can be replaced while the server runs.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::authorization::identity::Identity;
use super::authorization::scope::{Permission, RequiredScopes, Resource, Scope};
use super::authorization::{Requester, is_allowed, is_authorized};
use super::challenge;
use super::error::Error;
use super::issued::{Issued, TokenSource};
use super::login::{Login, Refusal, Rejection};
use super::password::{Credentials, Htpasswd, htpasswd_file};
use super::settings::{Method, Settings};
use super::silly::Silly;
use super::stats::Stats;
use super::token::Validator;

/// Interval at which files are checked for changes in the absence of logins.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// The challenge's `error` for a token without the required scopes (RFC 6750, section 3.1).
const INSUFFICIENT_SCOPE: &str = "insufficient_scope";

/// Gatekeeper of requests; clones share it.
#[derive(Clone)]
pub struct Access {
    current: Arc<ArcSwap<Current>>,
    stats: Arc<Stats>,
    /// Tokens, which count with every method.
    issued: Arc<Issued>,
}

/// The settings in force, and the authenticator that was made from them.
struct Current {
    settings: Settings,
    authenticator: Arc<Authenticator>,
}

enum Authenticator {
    None,
    Silly(Silly),
    Htpasswd(Box<Htpasswd>),
    Token(Box<Validator>),
}

/// Validated settings, ready to be put in force.
pub struct Prepared(Current);

impl Access {
    /// Reads the files that the settings name; they are read again whenever they change. A missing htpasswd file is created.
    ///
    /// # Errors
    /// A file that cannot be read, or whose content is not supported.
    pub fn open(settings: Settings, tokens: Arc<dyn TokenSource>) -> Result<Self, Error> {
        if let Method::Htpasswd(settings) = &settings.method {
            htpasswd_file::create_if_missing(&settings.path)?;
        }
        Ok(Self {
            current: Arc::new(ArcSwap::from_pointee(Current::open(settings)?)),
            stats: Arc::default(),
            issued: Arc::new(Issued::new(tokens)),
        })
    }

    /// Fails as [`Self::open`] would, without changing anything. Logs if that would create a htpasswd file.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn check(settings: &Settings) -> Result<(), Error> {
        match &settings.method {
            Method::Htpasswd(settings) if htpasswd_file::is_missing(&settings.path) => {
                htpasswd_file::check_missing(&settings.path)
            }
            method => Authenticator::open(method).map(drop),
        }
    }

    /// Validates other settings. If the method is the one in force, it is kept, with its caches and lockouts.
    ///
    /// Nothing is created: a mistyped path would lock all users out.
    ///
    /// # Errors
    /// As [`Self::open`], and a missing htpasswd file.
    pub fn prepare(&self, settings: Settings) -> Result<Prepared, Error> {
        let current = self.current.load();
        if current.settings.method != settings.method {
            return Current::open(settings).map(Prepared);
        }
        Ok(Prepared(Current {
            settings,
            authenticator: Arc::clone(&current.authenticator),
        }))
    }

    /// Puts prepared settings in force, beginning with the next request.
    pub fn replace(&self, Prepared(next): Prepared) {
        self.current.store(Arc::new(next));
    }

    /// Reports whether every request is allowed without a login.
    pub fn is_open(&self) -> bool {
        self.current.load().is_open()
    }

    /// Authenticates a request and authorizes it for every scope that it requires.
    ///
    /// `site` is the scheme and host by which the client reaches this registry, such as `https://registry.example.com`.
    ///
    /// # Errors
    /// The refusal to be sent as the response.
    pub async fn admit(
        &self,
        login: Login<'_>,
        scopes: &RequiredScopes,
        site: &str,
    ) -> Result<Requester, Refusal> {
        let current = self.current.load_full();
        let outcome = current.admit(login, scopes, site, self).await;
        if current.settings.method != Method::None {
            self.count(&outcome, login);
        }
        outcome
    }

    fn count(&self, outcome: &Result<Requester, Refusal>, login: Login<'_>) {
        let counter = match outcome {
            // admitted without a login
            Ok(_) if login.is_absent() => return,
            Ok(_) | Err(Refusal::Denied(_) | Refusal::Hidden(_)) => &self.stats.accepted,
            Err(Refusal::Challenge { .. }) if login.authorization.is_none() => {
                &self.stats.challenged
            }
            Err(Refusal::Challenge { .. } | Refusal::Unavailable) => &self.stats.refused,
            Err(Refusal::TooMany { .. }) => &self.stats.throttled,
        };
        counter.add(1);
    }

    /// Checks files for changes until dropped.
    ///
    /// Thus the log names a broken file before the next login.
    pub async fn watch(&self) {
        loop {
            let current = self.current.load_full();
            match &*current.authenticator {
                Authenticator::Htpasswd(htpasswd) => htpasswd.refresh().await,
                Authenticator::Token(validator) => validator.refresh().await,
                Authenticator::None | Authenticator::Silly(_) => {}
            }
            drop(current);
            tokio::time::sleep(WATCH_INTERVAL).await;
        }
    }

    /// Returns the counters of logins.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Returns the number of passwords that are queued or being checked.
    pub fn queued(&self) -> usize {
        match &*self.current.load().authenticator {
            Authenticator::Htpasswd(htpasswd) => htpasswd.queued(),
            Authenticator::None | Authenticator::Silly(_) | Authenticator::Token(_) => 0,
        }
    }
}

impl Current {
    fn open(settings: Settings) -> Result<Self, Error> {
        Ok(Self {
            authenticator: Arc::new(Authenticator::open(&settings.method)?),
            settings,
        })
    }

    async fn admit(
        &self,
        login: Login<'_>,
        scopes: &RequiredScopes,
        site: &str,
        access: &Access,
    ) -> Result<Requester, Refusal> {
        let challenge = |error, message| Refusal::Challenge {
            challenge: self.authenticator.challenge(scopes, site, error),
            message,
        };
        let rules = self.settings.rules.as_ref();
        let identity = if rules.is_some() && login.is_absent() {
            Ok(Identity::anonymous())
        } else {
            self.authenticate(login, access).await
        };
        let identity = identity.map_err(|rejection| match rejection {
            Rejection::Unauthenticated { error, message } => challenge(error, message),
            Rejection::Throttled { wait } => Refusal::TooMany { wait },
            Rejection::Unavailable => Refusal::Unavailable,
        })?;
        let requester = Requester {
            identity,
            address: login.address,
            rules: rules.cloned(),
        };
        let can_log_in = self.settings.method != Method::None && login.is_absent();
        // clients learn from this request how to log in
        if scopes.required.is_empty() && can_log_in {
            return Err(challenge(None, None));
        }
        let mut required = scopes.required.iter();
        let Some(denied) = required.find(|scope| !is_authorized(&requester, scope)) else {
            return Ok(requester);
        };
        Err(if can_log_in {
            challenge(None, None)
        } else if is_allowed(&requester, denied) {
            challenge(Some(INSUFFICIENT_SCOPE), None)
        } else {
            refusal(&requester, denied)
        })
    }

    /// Finds out who makes a request: a token, or whom the method proves.
    async fn authenticate(&self, login: Login<'_>, access: &Access) -> Result<Identity, Rejection> {
        if self.is_open() {
            return Ok(Identity::anonymous());
        }
        let credentials = Credentials::of(login);
        if let Some(Credentials { password, .. }) = &credentials {
            let users = self.authenticator.users();
            let token = access.issued.authenticate(password, login.address, users);
            if let Some(outcome) = Box::pin(token).await {
                return outcome;
            }
        }
        let authenticator = &self.authenticator;
        authenticator
            .authenticate(login, credentials, &access.stats)
            .await
    }

    /// Reports whether every request is allowed without a login.
    fn is_open(&self) -> bool {
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

impl Authenticator {
    fn open(method: &Method) -> Result<Self, Error> {
        Ok(match method.clone() {
            Method::None => Self::None,
            Method::Silly { realm, service } => Self::Silly(Silly { realm, service }),
            Method::Htpasswd(settings) => Self::Htpasswd(Box::new(Htpasswd::open(settings)?)),
            Method::Token(settings) => Self::Token(Box::new(Validator::open(settings)?)),
        })
    }

    /// Finds out who makes a request; `credentials` are the user and password in it, if there are some.
    async fn authenticate(
        &self,
        login: Login<'_>,
        credentials: Option<Credentials>,
        stats: &Stats,
    ) -> Result<Identity, Rejection> {
        match self {
            Self::None => Ok(Identity::anonymous()),
            Self::Silly(silly) => silly.authenticate(login),
            // boxed: every open connection reserves room for the largest future of a request
            Self::Htpasswd(htpasswd) => {
                Box::pin(htpasswd.authenticate(login, credentials, stats)).await
            }
            Self::Token(validator) => Box::pin(validator.authenticate(login)).await,
        }
    }

    /// Returns the users of the file, if the method has one.
    fn users(&self) -> Option<&Htpasswd> {
        match self {
            Self::Htpasswd(htpasswd) => Some(htpasswd),
            Self::None | Self::Silly(_) | Self::Token(_) => None,
        }
    }

    /// Returns the value of `WWW-Authenticate` for a request that requires `scopes`.
    fn challenge(&self, scopes: &RequiredScopes, site: &str, error: Option<&str>) -> String {
        match self {
            // never sent: without a login everybody is authorized for everything
            Self::None => challenge::basic(""),
            Self::Silly(silly) => silly.challenge(scopes),
            Self::Htpasswd(htpasswd) => htpasswd.challenge(),
            Self::Token(validator) => validator.challenge(scopes, site, error),
        }
    }
}
