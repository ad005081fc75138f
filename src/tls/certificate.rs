//! A server's certificate and its key: read, held against each other, and judged in plain words.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::Error;

/// What is known of a certificate in use, for those who look after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The host names and addresses it is for.
    pub names: Vec<String>,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
}

impl Certificate {
    /// Reads what matters of a certificate; none where it is no certificate.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let alternatives = parsed.subject_alternative_name().ok().flatten();
        let names = alternatives
            .iter()
            .flat_map(|extension| &extension.value.general_names)
            .filter_map(name)
            .collect();
        let time = |time: x509_parser::time::ASN1Time| {
            let seconds = time.timestamp();
            let distance = Duration::from_secs(seconds.unsigned_abs());
            let moment = if seconds < 0 {
                UNIX_EPOCH.checked_sub(distance)
            } else {
                UNIX_EPOCH.checked_add(distance)
            };
            moment.unwrap_or(UNIX_EPOCH)
        };
        let validity = parsed.validity();
        Some(Self {
            names,
            not_before: time(validity.not_before),
            not_after: time(validity.not_after),
        })
    }

    /// What clients will complain about at `now`, if anything.
    #[must_use]
    pub fn complaint(&self, now: SystemTime) -> Option<String> {
        let date = |time| humantime::format_rfc3339_seconds(time);
        if now > self.not_after {
            return Some(format!("it expired at {}", date(self.not_after)));
        }
        (now < self.not_before).then(|| format!("it is not valid before {}", date(self.not_before)))
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

/// A certificate with those that lead to its authority, and its key.
pub(super) struct Pair {
    pub certified: Arc<CertifiedKey>,
    pub certificate: Certificate,
}

/// What rustls signs with at least.
const SHORTEST_RSA: usize = 2048;

/// How long the key of a certificate is, where it is RSA's.
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

/// Reads a pair from files of PEM.
///
/// # Errors
/// What keeps it from being used: files that cannot be read or hold something else, a key that belongs to another
/// certificate. A certificate that has expired can be used.
pub(super) fn load(certificate: &Path, key: &Path) -> Result<Pair, Error> {
    let chain = read_chain("certificate", certificate)?;
    let secret = read_key(key)?;
    let unusable = |_| match rsa_bits(&chain[0]) {
        Some(bits) if bits < SHORTEST_RSA => Error::content(
            "key",
            key,
            format!(
                "RSA keys have {SHORTEST_RSA} bits at least, and this one has {bits}: have another one certified"
            ),
        ),
        _ => Error::content(
            "key",
            key,
            "it is damaged, or of a kind that rustls does not know: give an RSA, ECDSA or Ed25519 key",
        ),
    };
    let secret = any_supported_type(&secret).map_err(unusable)?;
    let mut parsed = Vec::new();
    for der in &chain {
        let problem = |_| {
            Error::content(
                "certificate",
                certificate,
                "one of its blocks is not an X.509 certificate",
            )
        };
        parsed.push(X509Certificate::from_der(der).map_err(problem)?.1);
    }
    if let Some(public) = secret.public_key() {
        let owner = parsed
            .iter()
            .position(|parsed| parsed.tbs_certificate.subject_pki.raw == &*public);
        match owner {
            Some(0) => {}
            Some(place) => {
                return Err(Error::Order {
                    certificate: certificate.to_owned(),
                    key: key.to_owned(),
                    place: place + 1,
                });
            }
            None => {
                return Err(Error::Mismatch {
                    certificate: certificate.to_owned(),
                    key: key.to_owned(),
                });
            }
        }
    }
    for (place, pair) in parsed.windows(2).enumerate() {
        if pair[0].issuer() != pair[1].subject() {
            let (file, this, next) = (certificate.display(), place + 1, place + 2);
            tracing::warn!(
                "certificate number {next} in {file} is not of the authority that issued number {this}: clients may not find the way to an authority they know"
            );
        }
    }
    let Some(first) = Certificate::read(&chain[0]) else {
        return Err(Error::content(
            "certificate",
            certificate,
            "it is not an X.509 certificate",
        ));
    };
    Ok(Pair {
        certified: Arc::new(CertifiedKey::new(chain, secret)),
        certificate: first,
    })
}

/// Reads all certificates in a file: one at least.
pub(super) fn read_chain(
    what: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read(what, path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let problem = match chain {
        Ok(chain) if !chain.is_empty() => return Ok(chain),
        Err(error) => format!("its PEM is damaged ({error})"),
        Ok(_) if holds(&text, "PRIVATE KEY-----") => {
            "it holds a key and no certificate; have the two been swapped?".to_owned()
        }
        Ok(_) if holds(&text, "-----BEGIN CERTIFICATE REQUEST") => {
            "it holds a request for a certificate; give what the authority answered".to_owned()
        }
        Ok(_) => "it holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----"
            .to_owned(),
    };
    Err(Error::content(what, path, problem))
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let text = read("key", path)?;
    if holds(&text, "BEGIN ENCRYPTED PRIVATE KEY") || holds(&text, "Proc-Type: 4,ENCRYPTED") {
        let remedy = format!(
            "it is encrypted, and nobody is there to type the password; decrypt it: openssl pkey -in {0} -out {0}",
            path.display()
        );
        return Err(Error::content("key", path, remedy));
    }
    let problem = match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => return Ok(key),
        Err(_) if holds(&text, "-----BEGIN CERTIFICATE-----") => {
            "it holds a certificate and no key; have the two been swapped?".to_owned()
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
    std::fs::read(path).map_err(|cause| Error::Read {
        what,
        path: path.to_owned(),
        cause,
    })
}

fn holds(text: &[u8], words: &str) -> bool {
    text.windows(words.len())
        .any(|window| window == words.as_bytes())
}
