//! Settings of ACME: distribution's `http.tls.letsencrypt` section.

use std::path::PathBuf;

/// Settings of ACME.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Directory for account and certificates; distribution's may be used with its content.
    pub cache: PathBuf,
    pub email: Option<String>,
    /// Host names to be certified, at least one.
    pub hosts: Vec<String>,
    /// URL of the authority's directory.
    pub directory: String,
    /// PEM file: the authority of the directory's certificate, if unknown to the system.
    pub directory_authority: Option<PathBuf>,
}

/// Returns the URL of Let's Encrypt's directory.
#[must_use]
pub fn lets_encrypt() -> String {
    instant_acme::LetsEncrypt::Production.url().to_owned()
}
