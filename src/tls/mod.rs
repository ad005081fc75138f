//! Encryption of connections, by rustls: what is offered, certificates and their renewal, what is asked of clients.

pub mod acme;
mod certificate;
mod clients;
mod error;
mod failure;
mod probe;
mod suites;

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{Acceptor, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::SingleCertAndKey;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use acme::Acme;
pub use certificate::Certificate;
pub use clients::ClientAuth;
pub use error::Error;
pub use failure::{Failure, Reason};
pub use probe::{Probe, is_asked_for_certificate};

/// What may be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub source: Source,
    /// PEM: the authorities of clients' certificates. Without any, clients are asked for none.
    pub client_authorities: Vec<PathBuf>,
    pub client_auth: ClientAuth,
    pub minimum: MinimumVersion,
    /// Go's names; none for all there are.
    pub cipher_suites: Vec<String>,
    /// Whether HTTP/2 is offered beside HTTP/1.1.
    pub http2: bool,
}

/// Where certificates come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Files {
        /// PEM: the server's own, then those that lead to its authority.
        certificate: PathBuf,
        /// PEM.
        key: PathBuf,
    },
    /// An authority that is asked for them.
    Acme(acme::Settings),
}

/// The oldest version of the protocol that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinimumVersion {
    Tls12,
    Tls13,
}

/// Encryption, with the certificates in force.
pub struct Tls {
    settings: Settings,
    current: ArcSwap<Current>,
    watch: Mutex<Watch>,
    origin: Origin,
}

/// As [`Source`], at work.
enum Origin {
    Files { certificate: PathBuf, key: PathBuf },
    Acme(Arc<Acme>),
}

struct Current {
    config: Arc<ServerConfig>,
    /// None where it is by ACME.
    certificate: Option<Certificate>,
}

/// How long files that cannot be used are taken for some that are being renewed, one after the other.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the files looked like.
struct Watch {
    /// When they were last read, or given up.
    known: Vec<Option<Stamp>>,
    /// Since when they cannot be used, until that is complained about.
    suspect_since: Option<Instant>,
    /// Why what is in the files now is not in force.
    complaint: Option<String>,
}

/// Changes whenever a file is written to or replaced, by a link to another one as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            modified,
            size: metadata.len(),
        })
    }
}

impl Tls {
    /// Reads everything that `settings` name.
    ///
    /// # Errors
    /// Files that cannot be read or used, and settings that do not go together. A certificate that is out of its time is
    /// warned about.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let known = stamps(&settings);
        let origin = match &settings.source {
            Source::Files { certificate, key } => Origin::Files {
                certificate: certificate.clone(),
                key: key.clone(),
            },
            Source::Acme(wanted) => {
                let (provider, _) = suites::choose(&settings.cipher_suites, settings.minimum)?;
                Origin::Acme(Arc::new(Acme::open(wanted.clone(), &Arc::new(provider))?))
            }
        };
        let current = load(&settings, &origin)?;
        warn_about(&origin, &current);
        let watch = Mutex::new(Watch {
            known,
            suspect_since: None,
            complaint: None,
        });
        Ok(Self {
            settings,
            current: ArcSwap::from_pointee(current),
            watch,
            origin,
        })
    }

    /// What [`Self::new`] would find wrong, without a change to anything.
    #[must_use]
    pub fn check(settings: &Settings) -> Vec<Error> {
        let mut found = Vec::new();
        let provider = suites::choose(&settings.cipher_suites, settings.minimum)
            .map_err(|error| found.push(error));
        match &settings.source {
            Source::Files { certificate, key } => match certificate::load(certificate, key) {
                Ok(pair) => warn_of_time(certificate, &pair.certificate),
                Err(error) => found.push(error),
            },
            Source::Acme(wanted) => found.extend(acme::check(wanted)),
        }
        if !settings.client_authorities.is_empty() {
            let provider = Arc::new(provider.map_or_else(
                |()| rustls::crypto::aws_lc_rs::default_provider(),
                |(provider, _)| provider,
            ));
            found.extend(
                clients::verifier(
                    &settings.client_authorities,
                    settings.client_auth,
                    &provider,
                )
                .err(),
            );
        }
        found
    }

    /// What it was made from.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The certificates in force.
    #[must_use]
    pub fn certificates(&self) -> Vec<Certificate> {
        match &self.origin {
            Origin::Acme(acme) => acme.certificates(),
            Origin::Files { .. } => self.current.load().certificate.iter().cloned().collect(),
        }
    }

    /// Why what is in the files now is not in force, or an authority issues no certificate, if that is so.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        let by_authority = match &self.origin {
            Origin::Acme(acme) => acme.complaint(),
            Origin::Files { .. } => None,
        };
        by_authority.or_else(|| {
            self.watch
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .complaint
                .clone()
        })
    }

    /// Does the handshake with a client; none where the connection had no other purpose.
    ///
    /// # Errors
    /// Whatever keeps client and server from understanding each other.
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
            // the certificate has been seen, and nothing else is wanted
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

    /// Looks whether the files have changed, and takes what is in them if it can be used; has an authority asked for what
    /// is due. Connections that are open stay as they are.
    pub async fn refresh(self: Arc<Self>) {
        if let Origin::Acme(acme) = &self.origin {
            Arc::clone(acme).refresh();
        }
        // where it fails, the process is ending
        let _ = tokio::task::spawn_blocking(move || self.refresh_files()).await;
    }

    /// As [`Self::refresh`], for files only. It reads them, so it may block.
    pub fn refresh_files(&self) {
        self.refresh_at(Instant::now());
    }

    fn refresh_at(&self, moment: Instant) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamps(&self.settings);
        if now == watch.known {
            return;
        }
        match load(&self.settings, &self.origin) {
            Ok(next) => {
                if let (
                    Origin::Files {
                        certificate: path, ..
                    },
                    Some(certificate),
                ) = (&self.origin, &next.certificate)
                    && next.certificate != self.current.load().certificate
                {
                    let until = humantime::format_rfc3339_seconds(certificate.not_after);
                    tracing::info!(%until, "the certificate {} has been renewed", path.display());
                    warn_about(&self.origin, &next);
                } else if watch.complaint.is_some() {
                    tracing::info!("what http.tls names can be used again: it is as it was");
                }
                self.current.store(Arc::new(next));
                *watch = Watch {
                    known: now,
                    suspect_since: None,
                    complaint: None,
                };
            }
            // the first of two files may have been written, and the second not yet
            Err(_)
                if moment.saturating_duration_since(*watch.suspect_since.get_or_insert(moment))
                    < PATIENCE => {}
            Err(error) => {
                tracing::error!("{error}; the certificate that was read before stays in force");
                *watch = Watch {
                    known: now,
                    suspect_since: None,
                    complaint: Some(error.to_string()),
                };
            }
        }
    }
}

fn stamps(settings: &Settings) -> Vec<Option<Stamp>> {
    let own = match &settings.source {
        Source::Files { certificate, key } => vec![certificate, key],
        Source::Acme(_) => Vec::new(),
    };
    own.into_iter()
        .chain(&settings.client_authorities)
        .map(|path| Stamp::of(path))
        .collect()
}

fn load(settings: &Settings, origin: &Origin) -> Result<Current, Error> {
    let (provider, versions) = suites::choose(&settings.cipher_suites, settings.minimum)?;
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
        builder.with_client_cert_verifier(clients::verifier(
            &settings.client_authorities,
            settings.client_auth,
            &provider,
        )?)
    };
    let mut config = builder.with_cert_resolver(resolver);
    // tickets, which cost no memory, in place of a store
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Ticketer::new().map_err(wrong)?;
    config.alpn_protocols = if settings.http2 {
        vec![b"h2".to_vec(), b"http/1.1".to_vec()]
    } else {
        vec![b"http/1.1".to_vec()]
    };
    Ok(Current {
        config: Arc::new(config),
        certificate,
    })
}

fn warn_about(origin: &Origin, current: &Current) {
    if let (
        Some(certificate),
        Origin::Files {
            certificate: path, ..
        },
    ) = (&current.certificate, origin)
    {
        warn_of_time(path, certificate);
    }
}

fn warn_of_time(path: &Path, certificate: &Certificate) {
    if let Some(complaint) = certificate.complaint(SystemTime::now()) {
        tracing::warn!(
            "clients will refuse the certificate {}: {complaint}",
            path.display()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_misfit_is_complained_about_once_it_has_lasted_and_until_it_is_gone() {
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
            http2: true,
        })
        .unwrap();
        let current = || Arc::as_ptr(&tls.current.load().config);
        let first = current();
        let (_, key) = write_pair(directory.path());
        // the certificate from before: as if the new one had not been written yet
        std::fs::write(place("cert.pem"), &certificate).unwrap();
        let start = Instant::now();
        tls.refresh_at(start);
        // the files may change meanwhile, and not yet go together
        std::fs::write(place("key.pem"), "half").unwrap();
        tls.refresh_at(start + PATIENCE - Duration::from_millis(1));
        assert_eq!(tls.complaint(), None);
        std::fs::write(place("key.pem"), &key).unwrap();
        for _ in 0..3 {
            tls.refresh_at(start + PATIENCE);
            assert!(
                tls.complaint()
                    .is_some_and(|complaint| complaint.contains("does not belong to"))
            );
            assert!(current() == first);
        }
        // another misfit is a new one
        std::fs::write(place("key.pem"), key + "\n").unwrap();
        tls.refresh_at(start + 2 * PATIENCE);
        assert!(tls.complaint().is_some());
        write_pair(directory.path());
        tls.refresh_at(start + 2 * PATIENCE);
        assert!(tls.complaint().is_none() && current() != first);
    }
}
