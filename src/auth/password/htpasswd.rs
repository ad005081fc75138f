//! Authentication by user and password.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::basic::Credentials;
use super::bcrypt_pool::{BcryptPool, Outcome, PasswordCheck, wrong};
use super::cache::PasswordCache;
use super::htpasswd_file::is_missing;
use super::users::Users;
use crate::auth::authorization::identity::Identity;
use crate::auth::error::Error;
use crate::auth::login::{Login, Rejection};
use crate::auth::stats::Stats;
use crate::auth::throttle::{FailedLogin, Lockout, Throttle};
use crate::client_key;
use crate::files::file_watch::ParsedFile;

/// Settings of method `htpasswd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of the registry that clients show when they ask for a password.
    pub realm: String,
    pub path: PathBuf,
    /// Maximum time for which a correct password is not hashed again.
    pub cache: Duration,
}

impl Settings {
    /// Short enough for a stolen memory image to go stale, long enough for a build.
    pub const DEFAULT_CACHE: Duration = Duration::from_secs(5 * 60);
}

/// Authenticator of the users that a htpasswd file lists.
pub(in crate::auth) struct Htpasswd {
    realm: String,
    users: Arc<ParsedFile<Users>>,
    cache: Arc<PasswordCache>,
    pool: BcryptPool,
    throttle: Arc<Throttle>,
}

impl Htpasswd {
    pub(in crate::auth) fn open(settings: Settings) -> Result<Self, Error> {
        let Settings { realm, path, cache } = settings;
        if is_missing(&path) {
            return Err(Error::Missing { path });
        }
        let cache = Arc::new(PasswordCache::new(cache).map_err(|_| Error::Random)?);
        let users = Arc::new(ParsedFile::open("the htpasswd file", path, Users::parse)?);
        let throttle: Arc<Throttle> = Arc::default();
        Ok(Self {
            realm,
            users,
            pool: BcryptPool::new(Arc::clone(&cache), Arc::clone(&throttle)),
            cache,
            throttle,
        })
    }

    /// Reads the file again if it has changed.
    pub(in crate::auth) async fn refresh(&self) {
        self.users.current().await;
    }

    /// Returns the number of passwords that are queued or being checked.
    pub(in crate::auth) fn queued(&self) -> usize {
        self.pool.queued()
    }

    /// Reports whether the file lists a user now.
    pub(in crate::auth) async fn is_user(&self, name: &str) -> bool {
        self.users.recent().await.hash_of(name).is_some()
            // one missing a moment ago may have been added since
            || self.users.current().await.hash_of(name).is_some()
    }

    /// Returns the users that the file lists now.
    pub(in crate::auth) async fn names(&self) -> BTreeSet<String> {
        self.users.current().await.names()
    }

    /// Returns what tells a user's line in the file from any other; `None` if there is none.
    pub(in crate::auth) async fn fingerprint_of(&self, name: &str) -> Option<String> {
        let users = self.users.current().await;
        users.fingerprint_of(name).map(str::to_owned)
    }

    /// Reports whether a user's line in the file is the one with this fingerprint now.
    pub(in crate::auth) async fn has_fingerprint(&self, name: &str, fingerprint: &str) -> bool {
        // one missing a moment ago may have been added since
        let recent = self.users.recent().await;
        if recent.fingerprint_of(name) == Some(fingerprint) {
            return true;
        }
        let current = self.users.current().await;
        current.fingerprint_of(name) == Some(fingerprint)
    }

    pub(in crate::auth) fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    /// Returns the realm of the challenge.
    pub(in crate::auth) fn realm(&self) -> &str {
        &self.realm
    }

    /// Authenticates a request; `credentials` are those in its header, if that holds some.
    pub(in crate::auth) async fn authenticate(
        &self,
        login: Login<'_>,
        credentials: Option<Credentials>,
        stats: &Stats,
    ) -> Result<Identity, Rejection> {
        // every client's first request has none
        if login.authorization.is_none() && credentials.is_none() {
            return Err(Rejection::UNAUTHENTICATED);
        }
        let now = Instant::now();
        let Some(credentials) = credentials else {
            let failed = FailedLogin {
                fingerprint: None,
                user: "",
                address: login.address,
                reason: "no user and password",
            };
            return Err(match self.throttle.check_lockout(failed, now) {
                Some(wait) => Rejection::Throttled { wait },
                None => Rejection::wrong(failed.reason),
            });
        };
        // sent by podman and skopeo without a login
        if credentials.user.is_empty() && credentials.password.is_empty() {
            return Err(Rejection::UNAUTHENTICATED);
        }
        let lockout = self.throttle.lockout(login.address, now);
        if let Some(Lockout { wait, .. }) = lockout.filter(|lockout| lockout.is_total) {
            return Err(Rejection::Throttled { wait });
        }
        let mut users = self.users.recent().await;
        let mut is_remembered = self.is_remembered(&users, &credentials, login, lockout);
        if !is_remembered {
            // a user missing a moment ago may have been added since
            users = self.users.current().await;
            is_remembered = self.is_remembered(&users, &credentials, login, lockout);
        }
        if is_remembered {
            stats.remembered.add(1);
            return Ok(Identity::user(credentials.user));
        }
        match lockout {
            None => self.check(&users, credentials, login).await,
            Some(Lockout { wait, .. }) => {
                let (hash, _) = users.hash_or_dummy(&credentials.user);
                let fingerprint =
                    self.cache
                        .fingerprint(&credentials.user, &credentials.password, hash);
                self.throttle.count_miss(login.address, fingerprint, now);
                Err(Rejection::Throttled { wait })
            }
        }
    }

    /// Reports whether the cache proves a password correct.
    ///
    /// An address that is locked out, or has a password in the queue, is proven right only by its own earlier logins:
    /// those of others would reveal which of its guesses is correct.
    fn is_remembered(
        &self,
        users: &Users,
        Credentials { user, password }: &Credentials,
        login: Login<'_>,
        lockout: Option<Lockout>,
    ) -> bool {
        let Some(hash) = users.hash_of(user) else {
            return false;
        };
        let client = login.address.map(client_key::of);
        let fingerprint = self.cache.fingerprint(user, password, hash);
        self.cache.is_known_to(&fingerprint, client)
            || (lockout.is_none()
                && !self.pool.has_check_of(client)
                && self.cache.is_known(&fingerprint, client))
    }

    /// Compares a password with the user's hash.
    async fn check(
        &self,
        users: &Users,
        Credentials { user, password }: Credentials,
        login: Login<'_>,
    ) -> Result<Identity, Rejection> {
        let (hash, is_user) = users.hash_or_dummy(&user);
        let check = PasswordCheck {
            fingerprint: self.cache.fingerprint(&user, &password, hash),
            user: user.clone(),
            password,
            hash: hash.clone(),
            usual: users.dummy().clone(),
            is_user,
            address: login.address,
        };
        match self.pool.check(check).await {
            Outcome::Correct => Ok(Identity::user(user)),
            Outcome::Wrong => Err(Rejection::wrong(wrong(is_user))),
            Outcome::Unchecked { wait } => Err(Rejection::Throttled { wait }),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::auth::password::bcrypt_hash::BcryptHash;
    use crate::auth::password::bcrypt_pool::tests::keep_busy;

    /// Also within the millisecond for which a check of the file counts otherwise.
    #[tokio::test]
    async fn a_user_added_just_now_is_accepted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("htpasswd");
        let line = |user: &str| {
            format!(
                "{user}:{}\n",
                BcryptHash::of(b"secret", 4).unwrap().as_str()
            )
        };
        let mut content = line("joe");
        std::fs::write(&path, &content).unwrap();
        let settings = Settings {
            realm: String::new(),
            path: path.clone(),
            cache: Settings::DEFAULT_CACHE,
        };
        let (htpasswd, stats) = (Htpasswd::open(settings).unwrap(), Stats::default());
        let enter = async |user: &str| {
            let authorization = format!("Basic {}", STANDARD.encode(format!("{user}:secret")));
            let login = Login {
                authorization: Some(authorization.as_bytes()),
                address: None,
                user_agent: None,
                session: None,
            };
            htpasswd
                .authenticate(login, Credentials::of(login), &stats)
                .await
                .is_ok()
        };
        for number in 0..30 {
            let user = format!("user{number}");
            content += &line(&user);
            // the file is checked, and changes right after
            assert!(enter("joe").await);
            std::fs::write(&path, &content).unwrap();
            assert!(enter(&user).await, "{user}");
        }
        assert_eq!(stats.remembered.get(), 29, "all of joe's but the first");
    }

    /// Otherwise a burst of guesses would outrun bcrypt and find another client's password.
    #[tokio::test(flavor = "multi_thread")]
    async fn logins_of_others_do_not_count_while_a_guess_is_queued() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("htpasswd");
        std::fs::write(
            &path,
            format!("joe:{}\n", BcryptHash::of(b"secret", 4).unwrap().as_str()),
        )
        .unwrap();
        let settings = Settings {
            realm: String::new(),
            path,
            cache: Settings::DEFAULT_CACHE,
        };
        let (htpasswd, stats) = (Htpasswd::open(settings).unwrap(), Stats::default());
        let enter = async |password: &str, host: u8| {
            let authorization = format!("Basic {}", STANDARD.encode(format!("joe:{password}")));
            let address = Some(std::net::Ipv4Addr::new(192, 0, 2, host).into());
            let login = Login {
                authorization: Some(authorization.as_bytes()),
                address,
                user_agent: None,
                session: None,
            };
            htpasswd
                .authenticate(login, Credentials::of(login), &stats)
                .await
                .is_ok()
        };
        assert!(enter("secret", 1).await && enter("secret", 2).await);
        assert_eq!(stats.remembered.get(), 1);
        keep_busy(&htpasswd.pool, usize::MAX);
        let known = async {
            while htpasswd.queued() == 0 {
                tokio::task::yield_now().await;
            }
            enter("secret", 3).await
        };
        let meanwhile = async {
            while htpasswd.queued() < 2 {
                tokio::task::yield_now().await;
            }
            // a client that logged in before need not wait
            assert!(enter("secret", 2).await);
        };
        tokio::select! {
            is_in = enter("guess", 3) => panic!("answered without a check: {is_in}"),
            is_in = known => panic!("answered at once: {is_in}"),
            () = meanwhile => (),
        }
    }
}
