//! Server side of TLS, with the certificates in force.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{Acceptor, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::SingleCertAndKey;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use super::acme::{self, Acme};
use super::certificate::{self, Certificate};
use super::error::Error;
use super::settings::{Settings, Source};
use super::{cipher_suites, client_auth};
use crate::files::file_watch::{Change, FileWatch};

/// Time during which unusable files count as being renewed one after the other.
const PATIENCE: Duration = Duration::from_secs(5);

/// Acceptor of TLS connections, with the certificates in force.
pub struct Tls {
    settings: Settings,
    current: ArcSwap<Current>,
    renewal: Mutex<Renewal>,
    origin: Origin,
}

/// A [`Source`] at work.
enum Origin {
    Files { certificate: PathBuf, key: PathBuf },
    Acme(Arc<Acme>),
}

struct Current {
    config: Arc<ServerConfig>,
    /// `None` with ACME.
    certificate: Option<Certificate>,
}

/// State of the renewal of certificates from files.
struct Renewal {
    files: FileWatch,
    /// Since when changed files cannot be used, until that is logged.
    suspect_since: Option<Instant>,
    /// Reason why the files' present content is not in force.
    complaint: Option<String>,
}

impl Tls {
    /// Reads everything that the settings name. An expired certificate is used, with a warning.
    ///
    /// # Errors
    /// Files that cannot be read or used, or contradictory settings.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let files = FileWatch::new(files(&settings));
        let origin = match &settings.source {
            Source::Files { certificate, key } => Origin::Files {
                certificate: certificate.clone(),
                key: key.clone(),
            },
            Source::Acme(acme) => {
                let (provider, _) =
                    cipher_suites::choose(&settings.cipher_suites, settings.minimum)?;
                Origin::Acme(Arc::new(Acme::open(acme.clone(), &Arc::new(provider))?))
            }
        };
        let current = load(&settings, &origin)?;
        if let (Origin::Files { certificate, .. }, Some(loaded)) = (&origin, &current.certificate) {
            warn_if_expired(certificate, loaded);
        }
        Ok(Self {
            settings,
            current: ArcSwap::from_pointee(current),
            renewal: Mutex::new(Renewal {
                files,
                suspect_since: None,
                complaint: None,
            }),
            origin,
        })
    }

    /// Returns the errors that [`Self::new`] would find, without changing anything.
    #[must_use]
    pub fn check(settings: &Settings) -> Vec<Error> {
        let mut found = Vec::new();
        let provider = cipher_suites::choose(&settings.cipher_suites, settings.minimum)
            .map_err(|error| found.push(error));
        match &settings.source {
            Source::Files { certificate, key } => match certificate::load(certificate, key) {
                Ok(pair) => warn_if_expired(certificate, &pair.certificate),
                Err(error) => found.push(error),
            },
            Source::Acme(acme) => found.extend(acme::check(acme)),
        }
        if !settings.client_authorities.is_empty() {
            let provider = Arc::new(provider.map_or_else(
                |()| rustls::crypto::aws_lc_rs::default_provider(),
                |(provider, _)| provider,
            ));
            let verifier = client_auth::verifier(
                &settings.client_authorities,
                settings.client_auth,
                &provider,
            );
            found.extend(verifier.err());
        }
        found
    }

    /// Returns the configured cipher suites that are not offered because they are weak.
    #[must_use]
    pub fn omitted_suites(names: &[String]) -> Vec<&str> {
        cipher_suites::omitted(names)
    }

    /// Returns the settings that this was made from.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the certificates in force.
    #[must_use]
    pub fn certificates(&self) -> Vec<Certificate> {
        match &self.origin {
            Origin::Acme(acme) => acme.certificates(),
            Origin::Files { .. } => self.current.load().certificate.iter().cloned().collect(),
        }
    }

    /// Returns the reason why certificates on disk, or due from an authority, are unused.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        let by_authority = match &self.origin {
            Origin::Acme(acme) => acme.complaint(),
            Origin::Files { .. } => None,
        };
        by_authority.or_else(|| self.renewal.lock().complaint.clone())
    }

    /// Does the handshake with a client; `None` if it was an ACME authority's check.
    ///
    /// # Errors
    /// A failed handshake, see [`super::Failure::of`].
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
    ) -> io::Result<Option<TlsStream<S>>> {
        let handshake = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        if let Origin::Acme(acme) = &self.origin
            && handshake
                .client_hello()
                .alpn()
                .is_some_and(|mut offered| offered.any(|name| name == acme::ALPN))
        {
            // the authority has seen the certificate, and wants nothing else
            handshake
                .into_stream(Arc::clone(&acme.challenge_config))
                .await?
                .shutdown()
                .await?;
            return Ok(None);
        }
        let config = Arc::clone(&self.current.load().config);
        handshake.into_stream(config).await.map(Some)
    }

    /// Loads changed files if they are usable, and requests certificates due from an authority.
    ///
    /// Open connections are not affected.
    pub async fn refresh(self: Arc<Self>) {
        if let Origin::Acme(acme) = &self.origin {
            Arc::clone(acme).refresh();
        }
        // fails only while the process is ending
        let _ = tokio::task::spawn_blocking(move || self.refresh_files()).await;
    }

    /// Loads changed files as [`Self::refresh`] does. Blocks for the file system.
    pub fn refresh_files(&self) {
        self.refresh_files_at(Instant::now());
    }

    fn refresh_files_at(&self, now: Instant) {
        let mut renewal = self.renewal.lock();
        if renewal.files.poll() == Change::None {
            return;
        }
        match load(&self.settings, &self.origin) {
            Ok(next) => {
                if let (Origin::Files { certificate, .. }, Some(loaded)) =
                    (&self.origin, &next.certificate)
                    && next.certificate != self.current.load().certificate
                {
                    tracing::info!(until = %loaded.not_after, "certificate {} has been renewed", certificate.display());
                    warn_if_expired(certificate, loaded);
                } else if renewal.complaint.is_some() {
                    tracing::info!(
                        "the files named in http.tls can be used again: their content is as before"
                    );
                }
                self.current.store(Arc::new(next));
                renewal.complaint = None;
            }
            // the first of two files may have been written, and the second not yet
            Err(_)
                if now.saturating_duration_since(*renewal.suspect_since.get_or_insert(now))
                    < PATIENCE =>
            {
                return;
            }
            Err(error) => {
                tracing::error!("{error}; the certificate read before stays in force");
                renewal.complaint = Some(error.to_string());
            }
        }
        renewal.suspect_since = None;
        renewal.files.accept();
    }
}

/// Returns the files that the settings name, ACME's cache excepted.
fn files(settings: &Settings) -> impl Iterator<Item = PathBuf> {
    let own = match &settings.source {
        Source::Files { certificate, key } => vec![certificate, key],
        Source::Acme(_) => Vec::new(),
    };
    own.into_iter().chain(&settings.client_authorities).cloned()
}

fn load(settings: &Settings, origin: &Origin) -> Result<Current, Error> {
    let (provider, versions) = cipher_suites::choose(&settings.cipher_suites, settings.minimum)?;
    let provider = Arc::new(provider);
    let (resolver, certificate): (Arc<dyn ResolvesServerCert>, _) = match origin {
        Origin::Acme(acme) => (acme.resolver(), None),
        Origin::Files { certificate, key } => {
            let pair = certificate::load(certificate, key)?;
            (
                Arc::new(SingleCertAndKey::from(pair.certified)),
                Some(pair.certificate),
            )
        }
    };
    let wrong = |error: rustls::Error| Error::Settings(error.to_string());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions)
        .map_err(wrong)?;
    let builder = if settings.client_authorities.is_empty() {
        builder.with_no_client_auth()
    } else {
        builder.with_client_cert_verifier(client_auth::verifier(
            &settings.client_authorities,
            settings.client_auth,
            &provider,
        )?)
    };
    let mut config = builder.with_cert_resolver(resolver);
    // tickets cost no memory, unlike a session store
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Ticketer::new().map_err(wrong)?;
    config.alpn_protocols = if settings.is_http2_enabled {
        vec![b"h2".to_vec(), b"http/1.1".to_vec()]
    } else {
        vec![b"http/1.1".to_vec()]
    };
    Ok(Current {
        config: Arc::new(config),
        certificate,
    })
}

fn warn_if_expired(path: &Path, certificate: &Certificate) {
    if let Some(complaint) = certificate.complaint(Timestamp::now()) {
        tracing::warn!(
            "clients will reject the certificate {}: {complaint}",
            path.display()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::{ClientAuth, MinimumVersion};

    fn write_pair(directory: &Path) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(["localhost".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let pair = (certificate.pem(), key.serialize_pem());
        std::fs::write(directory.join("cert.pem"), &pair.0).unwrap();
        std::fs::write(directory.join("key.pem"), &pair.1).unwrap();
        pair
    }

    #[test]
    fn a_mismatch_is_complained_about_after_a_while_and_until_it_is_resolved() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        let (certificate, _) = write_pair(directory.path());
        let tls = Tls::new(Settings {
            source: Source::Files {
                certificate: place("cert.pem"),
                key: place("key.pem"),
            },
            client_authorities: Vec::new(),
            client_auth: ClientAuth::Request,
            minimum: MinimumVersion::Tls12,
            cipher_suites: Vec::new(),
            is_http2_enabled: true,
        })
        .unwrap();
        let current = || Arc::as_ptr(&tls.current.load().config);
        let first = current();
        let (_, key) = write_pair(directory.path());
        // the old certificate, as if the new one had not been written yet
        std::fs::write(place("cert.pem"), &certificate).unwrap();
        let start = Instant::now();
        tls.refresh_files_at(start);
        // meanwhile the files may change without matching yet
        std::fs::write(place("key.pem"), "half").unwrap();
        tls.refresh_files_at(start + PATIENCE - Duration::from_millis(1));
        assert_eq!(tls.complaint(), None);
        std::fs::write(place("key.pem"), &key).unwrap();
        for _ in 0..3 {
            tls.refresh_files_at(start + PATIENCE);
            assert!(
                tls.complaint()
                    .is_some_and(|complaint| complaint.contains("does not belong to"))
            );
            assert!(current() == first);
        }
        // a changed mismatch is a new one
        std::fs::write(place("key.pem"), key + "\n").unwrap();
        tls.refresh_files_at(start + 2 * PATIENCE);
        assert!(tls.complaint().is_some());
        write_pair(directory.path());
        tls.refresh_files_at(start + 2 * PATIENCE);
        assert!(tls.complaint().is_none() && current() != first);
    }
}
