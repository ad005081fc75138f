//! Users and passwords in a file, as distribution's `registry/auth/htpasswd` has them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::basic::Credentials;
use super::file_watch::FileWatch;
use super::hashing::{Hashing, Outcome, PasswordCheck};
use super::password_cache::PasswordCache;
use super::throttle::{FailedLogin, Throttle};
use super::users::Users;
use super::{BcryptHash, DEFAULT_COST, Error, Identity, Login, Refusal, Stats, challenge, file};
use crate::client_key;

const WHAT: &str = "the htpasswd file";
/// Whom a file is made for where there is none.
const FIRST_USER: &str = "docker";

/// Where the users are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What clients show to people who are to log in.
    pub realm: String,
    pub path: PathBuf,
    /// How long a password that was right is not hashed again, at most.
    pub cache: Duration,
}

impl Settings {
    /// Short enough for a stolen memory image to go stale, long enough for a build.
    pub const DEFAULT_CACHE: Duration = Duration::from_secs(5 * 60);
}

/// Lets in whom the file names.
pub struct Htpasswd {
    realm: String,
    users: Arc<FileWatch<Users>>,
    cache: Arc<PasswordCache>,
    hashing: Hashing,
    throttle: Arc<Throttle>,
}

impl Htpasswd {
    pub(super) fn open(settings: Settings) -> Result<Self, Error> {
        let Settings { realm, path, cache } = settings;
        if is_missing(&path) {
            return Err(Error::Missing { path });
        }
        let cache = match PasswordCache::new(cache) {
            Ok(cache) => Arc::new(cache),
            Err(_) => {
                return Err(Error::Make {
                    path,
                    cause: io::Error::other("the system has no random bytes"),
                });
            }
        };
        let users = Arc::new(FileWatch::open(WHAT, path, Users::parse)?);
        let throttle: Arc<Throttle> = Arc::default();
        Ok(Self {
            realm,
            users,
            hashing: Hashing::new(Arc::clone(&cache), Arc::clone(&throttle)),
            cache,
            throttle,
        })
    }

    /// Has the file looked at.
    pub(super) async fn look(&self) {
        self.users.current().await;
    }

    /// Passwords on their way.
    pub(super) fn queued(&self) -> usize {
        self.hashing.queued()
    }

    pub(super) async fn admit(&self, login: Login<'_>, stats: &Stats) -> Result<Identity, Refusal> {
        let refusal = || Refusal::Challenge(challenge::basic(&self.realm));
        // every client's first request
        let authorization = login.authorization.ok_or_else(refusal)?;
        let (address, client, now) = (
            login.address,
            login.address.map(client_key::of),
            Instant::now(),
        );
        let Some(Credentials { user, password }) = Credentials::parse(authorization) else {
            let failed = FailedLogin {
                fingerprint: None,
                user: "",
                address,
                reason: "no user and password",
            };
            return Err(self
                .throttle
                .turn_away(failed, now)
                .map_or_else(refusal, |wait| Refusal::TooMany { wait }));
        };
        // podman and skopeo without a login send this
        if user.is_empty() && password.is_empty() {
            return Err(refusal());
        }
        let lockout = self.throttle.lockout(address, now);
        if let Some(lockout) = lockout.filter(|lockout| lockout.is_shut) {
            return Err(Refusal::TooMany { wait: lockout.wait });
        }
        let is_remembered = |users: &Users| {
            let fingerprint = users
                .hash_of(&user)
                .map(|hash| self.cache.fingerprint(&user, &password, hash));
            // whoever guesses must not be told by what others got right, nor before its guesses have closed the door
            let counts_others = || lockout.is_none() && !self.hashing.is_at(client);
            fingerprint.is_some_and(|fingerprint| {
                self.cache.knows(&fingerprint, client, true)
                    || (counts_others() && self.cache.knows(&fingerprint, client, false))
            })
        };
        let mut users = self.users.recent().await;
        let mut may_enter = is_remembered(&users);
        if !may_enter {
            // who was in no file a moment ago may be by now
            users = self.users.current().await;
            may_enter = is_remembered(&users);
        }
        if may_enter {
            stats.remembered.add(1);
            return Ok(Identity::user(user));
        }
        let (is_user, hash) = users
            .hash_of(&user)
            .map_or_else(|| (false, users.dummy()), |hash| (true, hash));
        let fingerprint = self.cache.fingerprint(&user, &password, hash);
        if let Some(lockout) = lockout {
            self.throttle.missed(address, fingerprint, now);
            return Err(Refusal::TooMany { wait: lockout.wait });
        }
        let (hash, dearest) = (hash.clone(), users.dummy().clone());
        match self
            .hashing
            .check(PasswordCheck {
                fingerprint,
                user: user.clone(),
                password,
                hash,
                dearest,
                is_user,
                address,
            })
            .await
        {
            Outcome::Right => Ok(Identity::user(user)),
            Outcome::Wrong => Err(refusal()),
            Outcome::Later(wait) => Err(Refusal::TooMany { wait }),
        }
    }
}

/// Whether one would be made. What else is wrong with it shows when it is read.
pub(super) fn is_missing(path: &Path) -> bool {
    path.symlink_metadata()
        .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Fails where no file could be made.
pub(super) fn check_missing(path: &Path) -> Result<(), Error> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let there = parent
        .metadata()
        .and_then(|_| crate::dir_check::check(parent));
    there.map_err(|cause| Error::Make {
        path: path.to_owned(),
        cause,
    })?;
    tracing::warn!(
        "there is no htpasswd file {}: the server will make it with one user, {FIRST_USER}, and log the password",
        path.display()
    );
    Ok(())
}

/// Makes a file with one user where there is none, as distribution does.
pub(super) fn provide(path: &Path) -> Result<(), Error> {
    if !is_missing(path) {
        return Ok(());
    }
    let failed = |cause| Error::Make {
        path: path.to_owned(),
        cause,
    };
    let mut random = [0; 32];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|_| failed(io::Error::other("the system has no random bytes")))?;
    let password = URL_SAFE_NO_PAD.encode(random);
    let hash = BcryptHash::of(password.as_bytes(), DEFAULT_COST)
        .map_err(|cause| failed(io::Error::other(cause)))?;
    file::replace(
        path,
        format!("{FIRST_USER}:{}\n", hash.as_str()).as_bytes(),
        0o600,
    )
    .map_err(failed)?;
    // at the highest level: whoever does not see it cannot log in
    tracing::error!(
        user = FIRST_USER,
        password,
        "there was no htpasswd file {}: it has been made with one user",
        path.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::auth::RequiredScopes;
    use crate::auth::hashing::tests::keep_busy;

    /// Within the millisecond for which a look at the file is good otherwise.
    #[tokio::test]
    async fn nobody_is_refused_by_a_file_that_has_just_changed() {
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
                site: "",
                wanted: &RequiredScopes::default(),
            };
            htpasswd.admit(login, &stats).await.is_ok()
        };
        for number in 0..30 {
            let user = format!("user{number}");
            content += &line(&user);
            // the file is looked at, and then another one
            assert!(enter("joe").await);
            std::fs::write(&path, &content).unwrap();
            assert!(enter(&user).await, "{user}");
        }
        assert_eq!(stats.remembered.get(), 29, "all of joe's but the first");
    }

    /// Else a burst of guesses that is faster than bcrypt would find among them the one that somebody has made already.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_others_got_right_does_not_count_while_a_guess_is_on_its_way() {
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
                site: "",
                wanted: &RequiredScopes::default(),
            };
            htpasswd.admit(login, &stats).await.is_ok()
        };
        assert!(enter("secret", 1).await && enter("secret", 2).await);
        assert_eq!(stats.remembered.get(), 1);
        keep_busy(&htpasswd.hashing, usize::MAX);
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
            // whoever got it right itself need not wait
            assert!(enter("secret", 2).await);
        };
        tokio::select! {
            is_in = enter("guess", 3) => panic!("nobody looks at it, and it is answered: {is_in}"),
            is_in = known => panic!("it is told at once: {is_in}"),
            () = meanwhile => (),
        }
    }
}
