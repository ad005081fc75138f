//! Who is asking, and what they may do.
//!
//! [`Access`] holds one of distribution's ways to log in. It is given a request's `Authorization` header, where the
//! request comes from and what it wants, and answers with an [`Identity`] or a [`Refusal`]. Nothing here knows HTTP's
//! types, SQL or the blob store; what a refusal looks like on the wire is [`crate::http`]'s.

mod basic;
mod challenge;
mod fair_queue;
mod file;
mod file_watch;
mod hashing;
mod htpasswd;
mod identity;
mod password;
mod password_cache;
mod scope;
mod silly;
mod stats;
mod throttle;
mod token;
mod users;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

pub use basic::text as user_name;
pub use file::replace;
pub use htpasswd::Settings as HtpasswdSettings;
pub use identity::Identity;
pub use password::{BcryptHash, DEFAULT_COST, MAX_COST, MIN_COST};
pub use scope::{Permission, RequiredScopes, Resource, Scope};
pub use stats::Stats;
pub use token::Settings as TokenSettings;
pub use users::{Entry, UserError, entries};

use htpasswd::Htpasswd;
use silly::Silly;
use token::Token;

/// How often files are looked at where nobody logs in.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How people log in; distribution's `auth` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settings {
    /// Nobody is asked.
    None,
    /// Any `Authorization` header will do.
    Silly { realm: String, service: String },
    /// Users and bcrypt hashes in a file.
    Htpasswd(HtpasswdSettings),
    /// Tokens of another server.
    Token(TokenSettings),
}

/// Decides about requests; clones share it.
#[derive(Clone)]
pub struct Access {
    rules: Arc<ArcSwap<Rules>>,
    stats: Arc<Stats>,
}

/// What is in force, with what it was made from.
struct Rules {
    settings: Settings,
    method: Method,
}

enum Method {
    None,
    Silly(Silly),
    Htpasswd(Box<Htpasswd>),
    Token(Box<Token>),
}

/// Rules that are ready to be put in force.
pub struct Prepared(Option<Rules>);

/// A request, as far as this matters to who may make it.
#[derive(Clone, Copy, Debug)]
pub struct Login<'r> {
    /// The value of the `Authorization` header.
    pub authorization: Option<&'r [u8]>,
    /// The client's address; none where it came over a socket of the file system.
    pub address: Option<IpAddr>,
    /// Scheme and name by which the client reaches this registry: `https://registry.example.com`.
    pub site: &'r str,
    pub wanted: &'r RequiredScopes,
}

/// Why a request goes no further.
#[derive(Debug)]
pub enum Refusal {
    /// Credentials are needed, or better ones: the value of `WWW-Authenticate`.
    Challenge(String),
    /// This address has failed too often of late, or too many passwords wait to be checked.
    TooMany { wait: Duration },
}

/// Why logins cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {what} {path}: {cause}; it must exist and be readable for this user", path = .path.display())]
    Read {
        what: &'static str,
        path: PathBuf,
        cause: std::io::Error,
    },
    #[error("{what} {path} cannot be used: {cause}", path = .path.display())]
    Invalid {
        what: &'static str,
        path: PathBuf,
        cause: String,
    },
    #[error(
        "there is no htpasswd file {path}, and none is made while the server runs: give the right path, or make one with registry htpasswd -Bc FILE USER",
        path = .path.display()
    )]
    Missing { path: PathBuf },
    #[error("there is no htpasswd file {path} and none can be made: {cause}; make one with registry htpasswd -Bc FILE USER", path = .path.display())]
    Make {
        path: PathBuf,
        cause: std::io::Error,
    },
    #[error("{0}")]
    Token(String),
}

impl Access {
    /// Makes ready what the settings name: files are read now, and again whenever they change. A htpasswd file that is missing
    /// is made.
    ///
    /// # Errors
    /// A file that cannot be read, or that holds what this registry does not take.
    pub fn open(settings: Settings) -> Result<Self, Error> {
        if let Settings::Htpasswd(settings) = &settings {
            htpasswd::provide(&settings.path)?;
        }
        Ok(Self {
            rules: Arc::new(ArcSwap::from_pointee(Rules::open(settings)?)),
            stats: Arc::default(),
        })
    }

    /// Fails as [`Self::open`] would, without a change to anything. Where that would make a htpasswd file, the log says so.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn check(settings: &Settings) -> Result<(), Error> {
        match settings {
            Settings::Htpasswd(settings) if htpasswd::is_missing(&settings.path) => {
                htpasswd::check_missing(&settings.path)
            }
            other => Rules::open(other.clone()).map(drop),
        }
    }

    /// Makes ready other settings. Those in force are kept where they are the same, with all that they remember. Nothing is
    /// made: a path that was mistyped would lock everybody out.
    ///
    /// # Errors
    /// As [`Self::open`], and a htpasswd file that is missing.
    pub fn prepare(&self, settings: Settings) -> Result<Prepared, Error> {
        let is_same = self.rules.load().settings == settings;
        Ok(Prepared(if is_same {
            None
        } else {
            Some(Rules::open(settings)?)
        }))
    }

    /// Puts prepared settings in force: from the next request on.
    pub fn replace(&self, Prepared(rules): Prepared) {
        if let Some(rules) = rules {
            self.rules.store(Arc::new(rules));
        }
    }

    /// Whether whoever reaches the registry may do everything in it.
    pub fn is_open(&self) -> bool {
        matches!(self.rules.load().method, Method::None)
    }

    /// Finds out who makes a request, and whether they may.
    ///
    /// # Errors
    /// The refusal to be sent instead of an answer.
    pub async fn admit(&self, login: Login<'_>) -> Result<Identity, Refusal> {
        let (rules, stats) = (self.rules.load_full(), &self.stats);
        let outcome = match &rules.method {
            // nobody logs in
            Method::None => return Ok(Identity::anonymous()),
            Method::Silly(silly) => silly.admit(login),
            // on the heap while it lasts: every connection has room for the largest future of a request, for as long as it is open
            Method::Htpasswd(htpasswd) => Box::pin(htpasswd.admit(login, stats)).await,
            Method::Token(token) => Box::pin(token.admit(login)).await,
        };
        let counter = match &outcome {
            Ok(_) => &stats.accepted,
            Err(Refusal::Challenge(_)) if login.authorization.is_none() => &stats.challenged,
            Err(Refusal::Challenge(_)) => &stats.refused,
            Err(Refusal::TooMany { .. }) => &stats.throttled,
        };
        counter.add(1);
        outcome
    }

    /// Looks at files from time to time until it is dropped, so that the log tells of broken ones before somebody logs in.
    pub async fn watch(&self) {
        loop {
            let rules = self.rules.load_full();
            match &rules.method {
                Method::Htpasswd(htpasswd) => htpasswd.look().await,
                Method::Token(token) => token.look().await,
                Method::None | Method::Silly(_) => {}
            }
            drop(rules);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How logins went.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Passwords that wait to be checked, or are being checked.
    pub fn queued(&self) -> usize {
        match &self.rules.load().method {
            Method::Htpasswd(htpasswd) => htpasswd.queued(),
            Method::None | Method::Silly(_) | Method::Token(_) => 0,
        }
    }
}

impl Rules {
    fn open(settings: Settings) -> Result<Self, Error> {
        let method = match settings.clone() {
            Settings::None => Method::None,
            Settings::Silly { realm, service } => Method::Silly(Silly { realm, service }),
            Settings::Htpasswd(settings) => Method::Htpasswd(Box::new(Htpasswd::open(settings)?)),
            Settings::Token(settings) => Method::Token(Box::new(Token::open(settings)?)),
        };
        Ok(Self { settings, method })
    }
}
