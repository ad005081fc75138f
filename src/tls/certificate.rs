//! Certificates and keys of servers: reading, matching, and explaining what is wrong with them.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::error::Error;
use crate::files::regular_file;

/// Names and validity period of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Host names and addresses that it is for.
    pub names: Vec<String>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

impl Certificate {
    /// Parses a certificate; `None` if it is malformed.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let alternatives = parsed.subject_alternative_name().ok().flatten();
        let names = alternatives
            .iter()
            .flat_map(|extension| &extension.value.general_names)
            .filter_map(name)
            .collect();
        let time = |time: x509_parser::time::ASN1Time| {
            Timestamp::from_second(time.timestamp()).unwrap_or_default()
        };
        let validity = parsed.validity();
        Some(Self {
            names,
            not_before: time(validity.not_before),
            not_after: time(validity.not_after),
        })
    }

    /// Returns the reason why clients will reject it at `now`, if they will.
    #[must_use]
    pub fn complaint(&self, now: Timestamp) -> Option<String> {
        if now > self.not_after {
            return Some(format!("it expired at {}", self.not_after));
        }
        (now < self.not_before).then(|| format!("it is not valid before {}", self.not_before))
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match **bytes {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(a, b, c, d).to_string()),
            _ => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    }
}

/// Certificate with its intermediate ones, and its key.
pub(super) struct Pair {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) certificate: Certificate,
}

/// Minimum length of an RSA key in rustls, in bits.
const SHORTEST_RSA: usize = 2048;

/// Returns the length of a certificate's RSA key, in bits; `None` for other keys.
fn rsa_bits(der: &[u8]) -> Option<usize> {
    match X509Certificate::from_der(der)
        .ok()?
        .1
        .public_key()
        .parsed()
        .ok()?
    {
        PublicKey::RSA(key) => Some(key.key_size()),
        _ => None,
    }
}

/// Reads a certificate and its key from PEM files.
///
/// # Errors
/// A file that cannot be read or holds something else, or a key that belongs to another certificate. An expired certificate
/// is no error.
pub(super) fn load(certificate: &Path, key: &Path) -> Result<Pair, Error> {
    let chain = read_chain("certificate", certificate)?;
    let private_key = read_key(key)?;
    let signing_key = any_supported_type(&private_key).map_err(|_| unusable_key(key, &chain[0]))?;
    let malformed = || {
        Error::content(
            "certificate",
            certificate,
            "one of its blocks is not an X.509 certificate",
        )
    };
    let mut parsed = Vec::new();
    for der in &chain {
        parsed.push(X509Certificate::from_der(der).map_err(|_| malformed())?.1);
    }
    let owner = signing_key.public_key().map(|public| {
        parsed
            .iter()
            .position(|parsed| parsed.tbs_certificate.subject_pki.raw == &*public)
    });
    let (certificate_path, key_path) = (certificate.to_owned(), key.to_owned());
    match owner {
        None | Some(Some(0)) => {}
        Some(Some(place)) => {
            return Err(Error::Order {
                certificate: certificate_path,
                key: key_path,
                place: place + 1,
            });
        }
        Some(None) => {
            return Err(Error::Mismatch {
                certificate: certificate_path,
                key: key_path,
            });
        }
    }
    warn_of_gaps(certificate, &parsed);
    let first = Certificate::read(&chain[0]).ok_or_else(malformed)?;
    Ok(Pair {
        certified: Arc::new(CertifiedKey::new(chain, signing_key)),
        certificate: first,
    })
}

/// Explains why rustls cannot sign with a key.
fn unusable_key(key: &Path, certificate: &CertificateDer<'_>) -> Error {
    match rsa_bits(certificate) {
        Some(bits) if bits < SHORTEST_RSA => Error::content(
            "key",
            key,
            format!(
                "RSA keys must have at least {SHORTEST_RSA} bits, and this one has {bits}: request a certificate for another key"
            ),
        ),
        _ => Error::content(
            "key",
            key,
            "it is damaged or of an unsupported kind: give an RSA, ECDSA or Ed25519 key",
        ),
    }
}

/// Warns if a certificate is not followed by that of its issuer.
fn warn_of_gaps(file: &Path, chain: &[X509Certificate<'_>]) {
    for (place, pair) in chain.windows(2).enumerate() {
        if pair[0].issuer() != pair[1].subject() {
            let (file, this, next) = (file.display(), place + 1, place + 2);
            tracing::warn!(
                "certificate number {next} in {file} is not that of the authority that issued number {this}: clients may not be able to verify the chain"
            );
        }
    }
}

/// Reads all certificates in a file, at least one.
pub(super) fn read_chain(
    what: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read(what, path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let problem = match chain {
        Ok(chain) if !chain.is_empty() => return Ok(chain),
        Err(error) => format!("its PEM is damaged ({error})"),
        Ok(_) if contains(&text, "PRIVATE KEY-----") => {
            "it holds a key and no certificate; have the two files been swapped?".to_owned()
        }
        Ok(_) if contains(&text, "-----BEGIN CERTIFICATE REQUEST") => {
            "it holds a request for a certificate; give what the authority answered".to_owned()
        }
        Ok(_) => "it holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----"
            .to_owned(),
    };
    Err(Error::content(what, path, problem))
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let text = read("key", path)?;
    if contains(&text, "BEGIN ENCRYPTED PRIVATE KEY") || contains(&text, "Proc-Type: 4,ENCRYPTED") {
        let remedy = format!(
            "it is encrypted, and the server cannot ask for the password; decrypt it: openssl pkey -in {0} -out {0}",
            path.display()
        );
        return Err(Error::content("key", path, remedy));
    }
    let problem = match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => return Ok(key),
        Err(_) if contains(&text, "-----BEGIN CERTIFICATE-----") => {
            "it holds a certificate and no key; have the two files been swapped?".to_owned()
        }
        Err(rustls::pki_types::pem::Error::NoItemsFound) => {
            "it holds no private key in PEM, which begins with -----BEGIN PRIVATE KEY-----"
                .to_owned()
        }
        Err(error) => format!("its PEM is damaged ({error})"),
    };
    Err(Error::content("key", path, problem))
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, Error> {
    regular_file::read(path).map_err(|cause| Error::Read {
        what,
        path: path.to_owned(),
        cause,
    })
}

fn contains(text: &[u8], words: &str) -> bool {
    text.windows(words.len())
        .any(|window| window == words.as_bytes())
}
