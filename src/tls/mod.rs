//! Encryption of connections, by rustls: what is offered, certificates and their renewal, what is asked of clients.

mod certificate;
mod clients;
mod error;
mod suites;

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{Acceptor, NoServerSessionStorage};
use rustls::sign::SingleCertAndKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

pub use certificate::Certificate;
pub use clients::ClientAuth;
pub use error::Error;

/// What may be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// PEM: the server's own certificate, then those that lead to its authority.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
    /// PEM: the authorities of clients' certificates. Without any, clients are asked for none.
    pub client_authorities: Vec<PathBuf>,
    pub client_auth: ClientAuth,
    pub minimum: MinimumVersion,
    /// Go's names; none for all there are.
    pub cipher_suites: Vec<String>,
    /// Whether HTTP/2 is offered beside HTTP/1.1.
    pub http2: bool,
}

/// The oldest version of the protocol that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinimumVersion {
    Tls12,
    Tls13,
}

/// Encryption, with the certificate in force.
pub struct Tls {
    settings: Settings,
    current: ArcSwap<Current>,
    watch: Mutex<Watch>,
}

struct Current {
    config: Arc<ServerConfig>,
    certificate: Certificate,
}

/// What the files looked like.
struct Watch {
    /// When they were last read, or given up.
    known: Vec<Option<Stamp>>,
    /// When they did not go together, and were perhaps being written.
    suspect: Option<Vec<Option<Stamp>>>,
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
        Some(Self { device: metadata.dev(), inode: metadata.ino(), modified, size: metadata.len() })
    }
}

impl Tls {
    /// Reads everything that `settings` name.
    ///
    /// # Errors
    /// Files that cannot be read or used, and settings that do not go together. A certificate that is out of its time is
    /// warned about.
    pub fn from_files(settings: Settings) -> Result<Self, Error> {
        let known = stamps(&settings);
        let current = load(&settings)?;
        warn_about(&settings, &current.certificate);
        let watch = Mutex::new(Watch { known, suspect: None, complaint: None });
        Ok(Self { settings, current: ArcSwap::from_pointee(current), watch })
    }

    /// The certificates in force.
    #[must_use]
    pub fn certificates(&self) -> Vec<Certificate> {
        vec![self.current.load().certificate.clone()]
    }

    /// Why what is in the files now is not in force, if it is not.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner).complaint.clone()
    }

    /// Does the handshake with a client; none where the connection had no other purpose.
    ///
    /// # Errors
    /// Whatever keeps client and server from understanding each other.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<Option<TlsStream<S>>> {
        let handshake = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let config = Arc::clone(&self.current.load().config);
        handshake.into_stream(config).await.map(Some)
    }

    /// Looks whether the files have changed, and takes what is in them if it can be used. Connections that are open stay
    /// as they are.
    pub async fn refresh(self: Arc<Self>) {
        // where it fails, the process is ending
        let _ = tokio::task::spawn_blocking(move || self.refresh_now()).await;
    }

    fn refresh_now(&self) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamps(&self.settings);
        if now == watch.known {
            return;
        }
        match load(&self.settings) {
            Ok(next) => {
                if next.certificate != self.current.load().certificate {
                    let until = humantime::format_rfc3339_seconds(next.certificate.not_after);
                    tracing::info!(%until, "the certificate {} has been renewed", self.settings.certificate.display());
                    warn_about(&self.settings, &next.certificate);
                }
                self.current.store(Arc::new(next));
                *watch = Watch { known: now, suspect: None, complaint: None };
            }
            // the first of two files may have been written, and the second not yet
            Err(_) if watch.suspect.as_ref() != Some(&now) => watch.suspect = Some(now),
            Err(error) => {
                tracing::error!("{error}; the certificate that was read before stays in force");
                *watch = Watch { known: now, suspect: None, complaint: Some(error.to_string()) };
            }
        }
    }
}

fn stamps(settings: &Settings) -> Vec<Option<Stamp>> {
    let own = [&settings.certificate, &settings.key];
    own.into_iter().chain(&settings.client_authorities).map(|path| Stamp::of(path)).collect()
}

fn load(settings: &Settings) -> Result<Current, Error> {
    let (provider, versions) = suites::choose(&settings.cipher_suites, settings.minimum)?;
    let provider = Arc::new(provider);
    let pair = certificate::load(&settings.certificate, &settings.key)?;
    let wrong = |error: rustls::Error| Error::Settings(error.to_string());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&versions).map_err(wrong)?;
    let builder = if settings.client_authorities.is_empty() {
        builder.with_no_client_auth()
    } else {
        builder.with_client_cert_verifier(clients::verifier(&settings.client_authorities, settings.client_auth, &provider)?)
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair.certified)));
    // tickets, which cost no memory, in place of a store
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Ticketer::new().map_err(wrong)?;
    config.alpn_protocols = if settings.http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    Ok(Current { config: Arc::new(config), certificate: pair.certificate })
}

fn warn_about(settings: &Settings, certificate: &Certificate) {
    if let Some(complaint) = certificate.complaint(SystemTime::now()) {
        tracing::warn!("clients will refuse the certificate {}: {complaint}", settings.certificate.display());
    }
}
