//! Errors of the settings of TLS, in sentences for the owner.

use std::io;
use std::path::PathBuf;

/// Problem with a certificate, a key or another setting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the {what} {path}: {cause}", path = .path.display())]
    Read {
        what: &'static str,
        path: PathBuf,
        cause: io::Error,
    },
    #[error("the {what} {path} cannot be used: {problem}", path = .path.display())]
    Content {
        what: &'static str,
        path: PathBuf,
        problem: String,
    },
    #[error(
        "the key {key} does not belong to the certificate {certificate}: give the key that the certificate was requested with",
        certificate = .certificate.display(), key = .key.display()
    )]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error(
        "the key {key} belongs to certificate number {place} in {certificate}: put the server's own first, then the intermediate ones",
        certificate = .certificate.display(), key = .key.display()
    )]
    Order {
        certificate: PathBuf,
        key: PathBuf,
        place: usize,
    },
    #[error(
        "http.tls.ciphersuites names {name}, which is not supported ({reason}); supported are {known}"
    )]
    Suite {
        name: String,
        reason: &'static str,
        known: String,
    },
    #[error("the settings of http.tls contradict each other: {0}")]
    Settings(String),
}

impl Error {
    pub(in crate::tls) fn content(
        what: &'static str,
        path: &std::path::Path,
        problem: impl Into<String>,
    ) -> Self {
        Self::Content {
            what,
            path: path.to_owned(),
            problem: problem.into(),
        }
    }
}
