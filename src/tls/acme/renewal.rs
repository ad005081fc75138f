//! Requests for certificates that are missing or due for renewal.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use instant_acme::Account;
use jiff::Timestamp;
use jiff::fmt::friendly::SpanPrinter;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::ResolvesServerCert;

use super::cache::Cache;
use super::host_names::normalized;
use super::order;
use super::resolver::{Challenges, Hosts};
use super::settings::Settings;
use crate::tls::certificate::Certificate;
use crate::tls::error::Error;

/// Protocol by which an authority asks for the proof (RFC 8737, section 4).
pub(in crate::tls) const ALPN: &[u8] = b"acme-tls/1";

/// Wait after a failed request, doubled after each further one up to the second constant.
///
/// Authorities limit failures: Let's Encrypt allows five an hour.
const FIRST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(4 * 3600);

/// Certificates of all hosts, requested as they become due.
pub(in crate::tls) struct Acme {
    settings: Settings,
    cache: Cache,
    hosts: Arc<Hosts>,
    challenges: Arc<Challenges>,
    /// Configuration of connections by [`ALPN`].
    pub(in crate::tls) challenge_config: Arc<ServerConfig>,
    is_busy: AtomicBool,
    /// Last failures by host, until a request succeeds.
    failures: Mutex<HashMap<String, Failure>>,
}

/// Failed request for a certificate.
struct Failure {
    wait: Duration,
    retry_at: Instant,
    problem: String,
}

impl Acme {
    /// Loads the cached certificates.
    ///
    /// # Errors
    /// Names that cannot be certified, or a cache that cannot be used.
    pub(in crate::tls) fn open(
        mut settings: Settings,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        settings.hosts = normalized(&settings.hosts)?;
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
            failures: Mutex::default(),
        })
    }

    pub(in crate::tls) fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::<Hosts>::clone(&self.hosts)
    }

    pub(in crate::tls) fn certificates(&self) -> Vec<Certificate> {
        self.settings
            .hosts
            .iter()
            .filter_map(|host| self.hosts.certificate(host))
            .collect()
    }

    /// Returns the last failure of a host, if there is one.
    pub(in crate::tls) fn complaint(&self) -> Option<String> {
        let failures = self.failures.lock();
        let failed = self
            .settings
            .hosts
            .iter()
            .find_map(|host| failures.get(host).map(|failure| (host, failure)));
        failed.map(|(host, failure)| {
            format!(
                "there is no new certificate for {host}: {}",
                failure.problem
            )
        })
    }

    /// Returns the hosts that need a certificate now, unless a failure is too recent.
    fn due(&self) -> Vec<String> {
        let (now, monotonic) = (Timestamp::now(), Instant::now());
        let failures = self.failures.lock();
        let is_needed = |host: &&String| {
            self.hosts
                .certificate(host)
                .is_none_or(|certificate| renewal_time(&certificate) <= now)
        };
        let may_retry = |host: &&String| {
            failures
                .get(*host)
                .is_none_or(|failure| failure.retry_at <= monotonic)
        };
        self.settings
            .hosts
            .iter()
            .filter(is_needed)
            .filter(may_retry)
            .cloned()
            .collect()
    }

    /// Requests certificates that are due in the background, unless that is already running.
    pub(in crate::tls) fn refresh(self: Arc<Self>) {
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
                        self.failures.lock().remove(&host);
                        tracing::info!(%host, %until, "certificate issued");
                    }
                    Err(problem) => self.record_failure(host, problem),
                }
            }
        });
    }

    /// Obtains a certificate and puts it in force; returns the end of its validity.
    async fn obtain(&self, host: &str, account: &mut Option<Account>) -> Result<Timestamp, String> {
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
                "it cannot be stored in {}: {error}",
                self.settings.cache.display()
            )
        })?;
        let pair = self
            .cache
            .certificate(host)
            .ok_or("the issued certificate cannot be used")?;
        let until = pair.certificate.not_after;
        self.hosts.put(host, pair);
        Ok(until)
    }

    fn unreachable(&self, problem: &str) -> String {
        format!("no account with {}: {problem}", self.settings.directory)
    }

    fn record_failure(&self, host: String, problem: String) {
        let mut failures = self.failures.lock();
        let wait = failures
            .get(&host)
            .map_or(FIRST_WAIT, |before| (before.wait * 2).min(LONGEST_WAIT));
        let retry_in = SpanPrinter::new().unsigned_duration_to_string(&wait);
        tracing::error!(%host, "cannot obtain a certificate: {problem}; retrying in {retry_in}");
        failures.insert(
            host,
            Failure {
                wait,
                retry_at: Instant::now() + wait,
                problem,
            },
        );
    }
}

/// Guard that clears a flag, also after a panic.
struct Busy<'a>(&'a AtomicBool);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Returns the time at which two thirds of a certificate's validity have passed.
fn renewal_time(certificate: &Certificate) -> Timestamp {
    let validity = certificate.not_before.duration_until(certificate.not_after);
    certificate
        .not_before
        .saturating_add(validity / 3 * 2)
        .unwrap_or(certificate.not_after)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use jiff::SignedDuration;

    use super::*;
    use crate::tls::acme::lets_encrypt;

    #[test]
    fn a_third_of_the_life_is_left_for_renewal() {
        let days = |count: i64| SignedDuration::from_hours(24 * count);
        let not_before = Timestamp::UNIX_EPOCH + days(20_000);
        let certificate = Certificate {
            names: Vec::new(),
            not_before,
            not_after: not_before + days(90),
        };
        assert_eq!(renewal_time(&certificate), not_before + days(60));
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
    fn names_that_cannot_be_certified_are_rejected() {
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
    fn autocerts_certificates_are_used_and_only_the_others_are_due() {
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
        // the wait grows with each failure
        acme.record_failure("new.example".to_owned(), "the problem".to_owned());
        assert!(acme.due().is_empty() && acme.complaint().unwrap().contains("new.example"));
        acme.record_failure("new.example".to_owned(), "the problem".to_owned());
        assert_eq!(acme.failures.lock()["new.example"].wait, FIRST_WAIT * 2);
        (0..20)
            .for_each(|_| acme.record_failure("new.example".to_owned(), "the problem".to_owned()));
        assert_eq!(acme.failures.lock()["new.example"].wait, LONGEST_WAIT);
    }

    #[tokio::test]
    async fn one_request_runs_at_a_time_and_each_ends() {
        let directory = tempfile::tempdir().unwrap();
        // no server listens there
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
            assert_eq!(
                acme.failures.lock()["new.example"].wait,
                FIRST_WAIT * failures
            );
            // it is retried once the wait is over, and not before
            Arc::clone(&acme).refresh();
            assert!(!acme.is_busy.load(Ordering::Acquire));
            if let Some(failure) = acme.failures.lock().get_mut("new.example") {
                failure.retry_at = Instant::now();
            }
        }
    }

    #[test]
    fn keys_are_readable_by_their_owner_only() {
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
