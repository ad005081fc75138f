//! Certificates by ACME (RFC 8555): asked for and renewed while the server serves, one for each host.

mod cache;
mod order;
mod resolver;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use instant_acme::Account;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::DnsName;
use rustls::server::ResolvesServerCert;

use super::Error;
use super::certificate::Certificate;
use cache::Cache;
use resolver::{Challenges, Hosts};

/// The protocol that an authority asks for when it looks (RFC 8737, section 4).
pub(super) const ALPN: &[u8] = b"acme-tls/1";

/// How long a failed attempt is waited after; twice as long after the next, up to the second. An authority counts failures:
/// Let's Encrypt takes five an hour.
const FIRST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(4 * 3600);

/// What may be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A directory; distribution's, with what is in it, will do.
    pub cache: PathBuf,
    pub email: Option<String>,
    /// The names to be certified: one at least.
    pub hosts: Vec<String>,
    /// The URL of the authority's directory.
    pub directory: String,
    /// PEM: the authority of the directory's own certificate, where the system does not know it.
    pub directory_authority: Option<PathBuf>,
}

/// The directory of Let's Encrypt.
#[must_use]
pub fn lets_encrypt() -> String {
    instant_acme::LetsEncrypt::Production.url().to_owned()
}

/// What [`Acme::open`] would find wrong, without a change to anything.
pub(super) fn check(settings: &Settings) -> Vec<Error> {
    names(&settings.hosts)
        .err()
        .into_iter()
        .chain(Cache::check(&settings.cache).err())
        .collect()
}

/// The hosts in the spelling that clients ask for; one at least.
fn names(hosts: &[String]) -> Result<Vec<String>, Error> {
    if hosts.is_empty() {
        return Err(Error::Settings(
            "http.tls.letsencrypt needs hosts, the names to be certified".to_owned(),
        ));
    }
    let name = |host: &String| {
        let host = host.trim().to_ascii_lowercase();
        if DnsName::try_from(host.as_str()).is_err()
            || host.starts_with("*.")
            || host.parse::<std::net::IpAddr>().is_ok()
        {
            let problem = format!(
                "http.tls.letsencrypt.hosts names '{host}', which is not the name of one host: write registry.example.com"
            );
            return Err(Error::Settings(problem));
        }
        Ok(host)
    };
    hosts.iter().map(name).collect()
}

/// Certificates that are asked for as they are needed.
pub(super) struct Acme {
    settings: Settings,
    cache: Cache,
    hosts: Arc<Hosts>,
    challenges: Arc<Challenges>,
    /// How authorities are answered that look.
    pub challenge_config: Arc<ServerConfig>,
    is_busy: AtomicBool,
    attempts: Mutex<HashMap<String, Attempt>>,
}

/// A failure to get a certificate.
struct Attempt {
    wait: Duration,
    next: Instant,
    problem: String,
}

impl Acme {
    /// Takes what the cache has.
    ///
    /// # Errors
    /// Names that cannot be certified, and a cache that cannot be used.
    pub fn open(mut settings: Settings, provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        settings.hosts = names(&settings.hosts)?;
        let cache = Cache::open(&settings.cache)?;
        let hosts = Arc::new(Hosts::new(&settings.hosts[0]));
        for host in &settings.hosts {
            if let Some(pair) = cache.certificate(host) {
                hosts.put(host, pair);
            }
        }
        let challenges: Arc<Challenges> = Arc::default();
        let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(rustls::ALL_VERSIONS);
        let builder = builder
            .map_err(|error| Error::Settings(error.to_string()))?
            .with_no_client_auth();
        let mut config = builder.with_cert_resolver(Arc::<Challenges>::clone(&challenges));
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self {
            settings,
            cache,
            hosts,
            challenges,
            challenge_config: Arc::new(config),
            is_busy: AtomicBool::new(false),
            attempts: Mutex::default(),
        })
    }

    pub fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::<Hosts>::clone(&self.hosts)
    }

    pub fn certificates(&self) -> Vec<Certificate> {
        self.settings
            .hosts
            .iter()
            .filter_map(|host| self.hosts.certificate(host))
            .collect()
    }

    pub fn complaint(&self) -> Option<String> {
        let attempts = self.attempts();
        let failed = self
            .settings
            .hosts
            .iter()
            .find_map(|host| attempts.get(host).map(|attempt| (host, attempt)));
        failed.map(|(host, attempt)| {
            format!(
                "there is no new certificate for {host}: {}",
                attempt.problem
            )
        })
    }

    fn attempts(&self) -> MutexGuard<'_, HashMap<String, Attempt>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hosts that need a certificate now, and have not just failed to get one.
    fn due(&self) -> Vec<String> {
        let (now, moment) = (SystemTime::now(), Instant::now());
        let attempts = self.attempts();
        let needs = |host: &&String| {
            self.hosts
                .certificate(host)
                .is_none_or(|certificate| renewal(&certificate) <= now)
        };
        let may = |host: &&String| {
            attempts
                .get(*host)
                .is_none_or(|attempt| attempt.next <= moment)
        };
        self.settings
            .hosts
            .iter()
            .filter(needs)
            .filter(may)
            .cloned()
            .collect()
    }

    /// Starts to get what is due, unless that is going on already.
    pub fn refresh(self: Arc<Self>) {
        let due = self.due();
        if due.is_empty() || self.is_busy.swap(true, Ordering::AcqRel) {
            return;
        }
        tokio::spawn(async move {
            let _busy = Busy(&self.is_busy);
            let mut account = None;
            for host in due {
                match self.obtain(&host, &mut account).await {
                    Ok(until) => {
                        self.attempts().remove(&host);
                        tracing::info!(%host, %until, "a certificate has been issued");
                    }
                    Err(problem) => self.put_off(host, problem),
                }
            }
        });
    }

    async fn obtain(&self, host: &str, account: &mut Option<Account>) -> Result<String, String> {
        let account = match account {
            Some(account) => account,
            None => account.insert(
                order::account(&self.settings, &self.cache)
                    .await
                    .map_err(|error| self.unreachable(&error.to_string()))?,
            ),
        };
        let issued = order::issue(account, host, &self.challenges)
            .await
            .map_err(|error| error.to_string())?;
        let kept = self
            .cache
            .keep_certificate(host, &issued.key, &issued.chain);
        kept.map_err(|error| {
            format!(
                "it cannot be kept in {}: {error}",
                self.settings.cache.display()
            )
        })?;
        let pair = self
            .cache
            .certificate(host)
            .ok_or("what was issued cannot be used")?;
        let until = humantime::format_rfc3339_seconds(pair.certificate.not_after).to_string();
        self.hosts.put(host, pair);
        Ok(until)
    }

    fn unreachable(&self, problem: &str) -> String {
        format!("no account with {}: {problem}", self.settings.directory)
    }

    fn put_off(&self, host: String, problem: String) {
        let mut attempts = self.attempts();
        let wait = attempts
            .get(&host)
            .map_or(FIRST_WAIT, |before| (before.wait * 2).min(LONGEST_WAIT));
        let again = humantime::format_duration(wait);
        tracing::error!(%host, "no certificate could be had: {problem}; trying again in {again}");
        attempts.insert(
            host,
            Attempt {
                wait,
                next: Instant::now() + wait,
                problem,
            },
        );
    }
}

/// Ends what was begun, however it ends.
struct Busy<'a>(&'a AtomicBool);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// When two thirds of a certificate's life are over.
fn renewal(certificate: &Certificate) -> SystemTime {
    let life = certificate
        .not_after
        .duration_since(certificate.not_before)
        .unwrap_or_default();
    certificate.not_before + life / 3 * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_the_life_is_left_for_renewal() {
        let day = Duration::from_secs(24 * 3600);
        let not_before = SystemTime::UNIX_EPOCH + 20_000 * day;
        let certificate = Certificate {
            names: Vec::new(),
            not_before,
            not_after: not_before + 90 * day,
        };
        assert_eq!(renewal(&certificate), not_before + 60 * day);
    }

    fn settings(directory: &std::path::Path, hosts: &[&str]) -> Settings {
        Settings {
            cache: directory.join("cache"),
            email: None,
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            directory: lets_encrypt(),
            directory_authority: None,
        }
    }

    fn open(directory: &std::path::Path, hosts: &[&str]) -> Result<Acme, Error> {
        Acme::open(
            settings(directory, hosts),
            &Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
        )
    }

    #[test]
    fn names_that_nobody_certifies_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        for hosts in [
            &["10.0.0.1"][..],
            &["*.example.com"],
            &["a b"],
            &[""],
            &["r.example", "x/../y"],
            &[],
        ] {
            let error = open(directory.path(), hosts)
                .err()
                .expect("it is refused")
                .to_string();
            assert!(
                error.contains("http.tls.letsencrypt") && error.contains("hosts"),
                "{error}"
            );
        }
        std::fs::write(directory.path().join("cache"), "").unwrap();
        assert!(
            open(directory.path(), &["r.example"])
                .err()
                .expect("it is refused")
                .to_string()
                .contains("cachefile")
        );
    }

    #[test]
    fn what_autocert_has_left_is_used_and_only_the_rest_is_due() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(&directory.path().join("cache")).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["kept.example".to_owned()]).unwrap();
        params.not_before = (SystemTime::now() - Duration::from_secs(3600)).into();
        params.not_after = (SystemTime::now() + Duration::from_secs(3600 * 24)).into();
        let certificate = params.self_signed(&key).unwrap();
        cache
            .keep_certificate("kept.example", &key.serialize_pem(), &certificate.pem())
            .unwrap();
        let acme = open(directory.path(), &["Kept.Example", "new.example"]).unwrap();
        assert_eq!(
            (acme.certificates().len(), acme.due()),
            (1, vec!["new.example".to_owned()])
        );
        // a failure is waited after, longer each time
        acme.put_off("new.example".to_owned(), "the problem".to_owned());
        assert!(acme.due().is_empty() && acme.complaint().unwrap().contains("new.example"));
        acme.put_off("new.example".to_owned(), "the problem".to_owned());
        assert_eq!(acme.attempts()["new.example"].wait, FIRST_WAIT * 2);
        (0..20).for_each(|_| acme.put_off("new.example".to_owned(), "the problem".to_owned()));
        assert_eq!(acme.attempts()["new.example"].wait, LONGEST_WAIT);
    }

    #[tokio::test]
    async fn one_attempt_is_made_at_a_time_and_each_ends() {
        let directory = tempfile::tempdir().unwrap();
        // where nobody answers
        let settings = Settings {
            directory: "https://127.0.0.1:1/".to_owned(),
            ..settings(directory.path(), &["new.example"])
        };
        let acme = Arc::new(
            Acme::open(
                settings,
                &Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            )
            .unwrap(),
        );
        for failures in 1..3 {
            acme.is_busy.store(true, Ordering::Release);
            Arc::clone(&acme).refresh();
            acme.is_busy.store(false, Ordering::Release);
            Arc::clone(&acme).refresh();
            let deadline = Instant::now() + Duration::from_secs(30);
            while acme.due() == ["new.example"] || acme.is_busy.load(Ordering::Acquire) {
                assert!(Instant::now() < deadline, "it goes on for ever");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(acme.attempts()["new.example"].wait, FIRST_WAIT * failures);
            // it is tried again once the time has come, and not before
            Arc::clone(&acme).refresh();
            assert!(!acme.is_busy.load(Ordering::Acquire));
            if let Some(attempt) = acme.attempts().get_mut("new.example") {
                attempt.next = Instant::now();
            }
        }
    }

    #[test]
    fn keys_are_for_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::open(&directory.path().join("cache")).unwrap();
        cache.keep_certificate("r.example", "key", "chain").unwrap();
        let mode = |path: &str| {
            directory
                .path()
                .join(path)
                .metadata()
                .unwrap()
                .permissions()
                .mode()
                & 0o777
        };
        assert_eq!((mode("cache"), mode("cache/r.example")), (0o700, 0o600));
    }
}
