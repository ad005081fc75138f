//! Admission of requests, by settings that can be replaced while the server runs.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::authorization::identity::Identity;
use super::authorization::is_authorized;
use super::authorization::scope::RequiredScopes;
use super::challenge;
use super::error::Error;
use super::login::{Login, Refusal, Rejection};
use super::password::{Htpasswd, htpasswd_file};
use super::settings::Settings;
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
}

/// The method in force, and the settings it was made from.
struct Current {
    settings: Settings,
    method: Method,
}

enum Method {
    None,
    Silly(Silly),
    Htpasswd(Box<Htpasswd>),
    Token(Box<Validator>),
}

/// Validated settings, ready to be put in force.
pub struct Prepared(Option<Current>);

impl Access {
    /// Reads the files that the settings name; they are read again whenever they change. A missing htpasswd file is created.
    ///
    /// # Errors
    /// A file that cannot be read, or whose content is not supported.
    pub fn open(settings: Settings) -> Result<Self, Error> {
        if let Settings::Htpasswd(settings) = &settings {
            htpasswd_file::create_if_missing(&settings.path)?;
        }
        Ok(Self {
            current: Arc::new(ArcSwap::from_pointee(Current::open(settings)?)),
            stats: Arc::default(),
        })
    }

    /// Fails as [`Self::open`] would, without changing anything. Logs if that would create a htpasswd file.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn check(settings: &Settings) -> Result<(), Error> {
        match settings {
            Settings::Htpasswd(settings) if htpasswd_file::is_missing(&settings.path) => {
                htpasswd_file::check_missing(&settings.path)
            }
            other => Current::open(other.clone()).map(drop),
        }
    }

    /// Validates other settings. If they equal those in force, these are kept, with their caches and lockouts.
    ///
    /// Nothing is created: a mistyped path would lock all users out.
    ///
    /// # Errors
    /// As [`Self::open`], and a missing htpasswd file.
    pub fn prepare(&self, settings: Settings) -> Result<Prepared, Error> {
        let is_same = self.current.load().settings == settings;
        Ok(Prepared(if is_same {
            None
        } else {
            Some(Current::open(settings)?)
        }))
    }

    /// Puts prepared settings in force, beginning with the next request.
    pub fn replace(&self, Prepared(next): Prepared) {
        if let Some(next) = next {
            self.current.store(Arc::new(next));
        }
    }

    /// Reports whether every request is allowed without a login.
    pub fn is_open(&self) -> bool {
        matches!(self.current.load().method, Method::None)
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
    ) -> Result<Identity, Refusal> {
        let current = self.current.load_full();
        let outcome = match current.method.authenticate(login, &self.stats).await {
            Ok(identity) if may_all(&identity, scopes) => Ok(identity),
            Ok(_) => Err(Rejection::Unauthenticated {
                error: Some(INSUFFICIENT_SCOPE),
            }),
            Err(rejection) => Err(rejection),
        };
        let outcome = outcome.map_err(|rejection| match rejection {
            Rejection::Unauthenticated { error } => {
                Refusal::Challenge(current.method.challenge(scopes, site, error))
            }
            Rejection::Throttled { wait } => Refusal::TooMany { wait },
        });
        if !matches!(current.method, Method::None) {
            self.count(&outcome, login);
        }
        outcome
    }

    fn count(&self, outcome: &Result<Identity, Refusal>, login: Login<'_>) {
        let counter = match outcome {
            Ok(_) => &self.stats.accepted,
            Err(Refusal::Challenge(_)) if login.authorization.is_none() => &self.stats.challenged,
            Err(Refusal::Challenge(_)) => &self.stats.refused,
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
            match &current.method {
                Method::Htpasswd(htpasswd) => htpasswd.refresh().await,
                Method::Token(validator) => validator.refresh().await,
                Method::None | Method::Silly(_) => {}
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
        match &self.current.load().method {
            Method::Htpasswd(htpasswd) => htpasswd.queued(),
            Method::None | Method::Silly(_) | Method::Token(_) => 0,
        }
    }
}

fn may_all(identity: &Identity, scopes: &RequiredScopes) -> bool {
    scopes
        .required
        .iter()
        .all(|scope| is_authorized(identity, scope))
}

impl Current {
    fn open(settings: Settings) -> Result<Self, Error> {
        let method = match settings.clone() {
            Settings::None => Method::None,
            Settings::Silly { realm, service } => Method::Silly(Silly { realm, service }),
            Settings::Htpasswd(settings) => Method::Htpasswd(Box::new(Htpasswd::open(settings)?)),
            Settings::Token(settings) => Method::Token(Box::new(Validator::open(settings)?)),
        };
        Ok(Self { settings, method })
    }
}

impl Method {
    /// Finds out who makes a request.
    async fn authenticate(&self, login: Login<'_>, stats: &Stats) -> Result<Identity, Rejection> {
        match self {
            Self::None => Ok(Identity::anonymous()),
            Self::Silly(silly) => silly.authenticate(login),
            // boxed: every open connection reserves room for the largest future of a request
            Self::Htpasswd(htpasswd) => Box::pin(htpasswd.authenticate(login, stats)).await,
            Self::Token(validator) => Box::pin(validator.authenticate(login)).await,
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
