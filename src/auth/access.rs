//! Admission of requests, by settings that can be replaced while the server runs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::authenticator::Authenticator;
use super::authorization::Requester;
use super::authorization::scope::RequiredScopes;
use super::current::{Asked, Current, Kept};
use super::error::Error;
use super::issued::{Issued, IssuedToken, TokenSource};
use super::login::{FormLogin, Login, Refusal, RefusedLogin, Site, TokenRequest};
use super::password::{Credentials, htpasswd_file};
use super::settings::{Method, Settings};
use super::stats::Stats;
use super::trust::{Issuers, TrustSettings};

/// Interval at which files are checked for changes in the absence of logins.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Gatekeeper of requests; clones share it.
#[derive(Clone)]
pub struct Access {
    current: Arc<ArcSwap<Current>>,
    kept: Arc<Kept>,
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
        let kept = Kept {
            stats: Stats::default(),
            issued: Issued::new(tokens),
            issuers: Issuers::default(),
        };
        Ok(Self {
            current: Arc::new(ArcSwap::from_pointee(Current::open(
                settings,
                &kept.issuers,
            )?)),
            kept: Arc::new(kept),
        })
    }

    /// Fails as [`Self::open`] would, without changing anything. Logs if that would create a htpasswd file.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn check(settings: &Settings) -> Result<(), Error> {
        settings.trust.iter().try_for_each(TrustSettings::check)?;
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
        let (current, issuers) = (self.current.load(), &self.kept.issuers);
        if current.settings.trust != settings.trust {
            settings.trust.iter().try_for_each(TrustSettings::check)?;
        }
        if current.settings.method != settings.method {
            return Current::open(settings, issuers).map(Prepared);
        }
        let authenticator = Arc::clone(&current.authenticator);
        Ok(Prepared(Current::with(settings, authenticator, issuers)))
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
    /// `site` says by what URLs the client reaches this registry; it is asked if a challenge is sent.
    ///
    /// # Errors
    /// The refusal to be sent as the response.
    pub async fn admit(
        &self,
        login: Login<'_>,
        scopes: &RequiredScopes,
        site: &(dyn Fn() -> Site + Sync),
    ) -> Result<Requester, Refusal> {
        let current = self.current.load_full();
        let outcome = current
            .admit(login, Asked { scopes, site }, &self.kept)
            .await;
        if !current.is_open() {
            self.count(&outcome, login);
        }
        outcome
    }

    /// Checks a user and password, or a token, from a form.
    ///
    /// # Errors
    /// The refusal, as for any other login.
    pub async fn log_in(
        &self,
        login: Login<'_>,
        user: &str,
        password: &str,
    ) -> Result<FormLogin, Refusal> {
        let current = self.current.load_full();
        let credentials = Credentials::new(user.to_owned(), password.as_bytes().to_vec());
        let outcome = current.log_in(login, credentials, &self.kept).await;
        let counter = match &outcome {
            Ok(_) => &self.kept.stats.accepted,
            Err(Refusal::TooMany { .. }) => &self.kept.stats.throttled,
            Err(_) => &self.kept.stats.refused,
        };
        counter.add(1);
        if let Err(refusal) = &outcome {
            self.note(refusal, login, Some(user.to_owned()));
        }
        outcome
    }

    /// Reports whether there is any login.
    pub async fn can_log_in(&self) -> bool {
        self.current.load_full().can_log_in(&self.kept).await
    }

    /// Makes a token for a client, for the token service.
    ///
    /// # Errors
    /// The refusal to be sent as the response.
    pub async fn issue(&self, request: TokenRequest<'_>) -> Result<IssuedToken, Refusal> {
        let current = self.current.load_full();
        let (login, sent) = (request.login, request.credentials.clone());
        let outcome = current.issue(request, &self.kept).await;
        if let Err(refusal) = &outcome {
            self.note(refusal, login, sent.map(|(user, _)| user));
        }
        outcome
    }

    /// Notes a refused login for the audit log; `user` is the name beside its header.
    fn note(&self, refusal: &Refusal, login: Login<'_>, user: Option<String>) {
        let Refusal::Challenge { message, fault, .. } = refusal else {
            return;
        };
        if user.is_none() && login.is_absent() {
            return;
        }
        let user = user.or_else(|| Some(Credentials::of(login)?.user));
        // a token of the service that has ended is no login, and its client gets another
        if user.is_none() && fault.is_none() {
            return;
        }
        let agent = login.user_agent.map(String::from_utf8_lossy);
        self.kept.issued.note_refused(RefusedLogin {
            user: &user.unwrap_or_default(),
            address: login.address,
            user_agent: agent.as_deref(),
            reason: message.as_deref().or(*fault),
        });
    }

    fn count(&self, outcome: &Result<Requester, Refusal>, login: Login<'_>) {
        if let Err(refusal) = outcome {
            self.note(refusal, login, None);
        }
        let counter = match outcome {
            // admitted without a login
            Ok(_) if login.is_absent() => return,
            Ok(_) | Err(Refusal::Denied(_) | Refusal::Hidden(_)) => &self.kept.stats.accepted,
            Err(Refusal::Challenge { .. }) if login.authorization.is_none() => {
                &self.kept.stats.challenged
            }
            Err(Refusal::Challenge { .. } | Refusal::Unavailable | Refusal::NoTokenService) => {
                &self.kept.stats.refused
            }
            Err(Refusal::TooMany { .. }) => &self.kept.stats.throttled,
        };
        counter.add(1);
    }

    /// Checks files for changes, and refreshes the keys of trusted issuers, until dropped.
    ///
    /// Thus the log names a broken file and an issuer that is down before the next login.
    pub async fn watch(&self) {
        tokio::join!(self.watch_files(), self.watch_issuers());
    }

    async fn watch_issuers(&self) {
        loop {
            let current = self.current.load_full();
            current.trust.refresh(&*self.kept.issued.source).await;
            drop(current);
            tokio::time::sleep(WATCH_INTERVAL).await;
        }
    }

    async fn watch_files(&self) {
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

    /// Returns the users who log in with a password; `None` if users are elsewhere.
    pub async fn users(&self) -> Option<BTreeSet<String>> {
        let current = self.current.load_full();
        Some(current.authenticator.users()?.names().await)
    }

    /// Reports whether a user logs in with a password.
    pub async fn is_user(&self, name: &str) -> bool {
        let current = self.current.load_full();
        match current.authenticator.users() {
            Some(users) => users.is_user(name).await,
            None => false,
        }
    }

    /// Returns the counters of logins.
    pub fn stats(&self) -> &Stats {
        &self.kept.stats
    }

    /// Returns the number of passwords that are queued or being checked.
    pub fn queued(&self) -> usize {
        match &*self.current.load().authenticator {
            Authenticator::Htpasswd(htpasswd) => htpasswd.queued(),
            Authenticator::None | Authenticator::Silly(_) | Authenticator::Token(_) => 0,
        }
    }
}
