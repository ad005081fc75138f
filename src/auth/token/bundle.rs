//! Trusted certificates in a file. Their keys sign tokens, or certificates of keys that do.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert,
};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey as CertificateKey;

use super::key::{Key, Malformed, PublicKey};
use super::key_id::ids_of;

/// Maximum number of certificates in a token.
const LONGEST_CHAIN: usize = 10;
/// Object identifier of Ed25519 keys (RFC 8410, section 3).
const ED25519: &str = "1.3.101.112";

/// Trusted certificates.
pub(super) struct Bundle {
    certificates: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
    keys: HashMap<String, Key>,
}

impl Bundle {
    /// Parses a PEM file. Anything but certificates is ignored, as in distribution.
    pub(super) fn parse(content: &[u8]) -> Result<Self, String> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(content).collect();
        let certificates = found.map_err(|error| format!("it is not a PEM file: {error}"))?;
        if certificates.is_empty() {
            return Err("it holds no certificate".to_owned());
        }
        let (mut anchors, mut keys) = (Vec::new(), HashMap::new());
        for (certificate, number) in certificates.iter().zip(1..) {
            let named = |cause: &str| format!("certificate {number}: {cause}");
            let anchor =
                anchor_from_trusted_cert(certificate).map_err(|error| named(&error.to_string()))?;
            anchors.push(anchor.to_owned());
            match key_of(certificate) {
                Ok((key, ids)) => keys.extend(ids.into_iter().map(|id| (id, key.clone()))),
                // it may have signed certificates of other keys
                Err(Malformed(cause)) => tracing::warn!(
                    "auth.token.rootcertbundle: {}; it verifies no tokens itself",
                    named(cause)
                ),
            }
        }
        Ok(Self {
            certificates,
            anchors,
            keys,
        })
    }

    /// Returns the key with this id.
    pub(super) fn key(&self, id: &str) -> Option<&Key> {
        self.keys.get(id)
    }

    /// Returns the key of the first of these certificates (`x5c`, RFC 7515, section 4.1.6).
    ///
    /// It must be in the bundle or lead to a certificate there, and none that the token brings may have expired. As in
    /// distribution, the certificate of the bundle that others lead to may have.
    pub(super) fn key_of_chain(&self, chain: &[String]) -> Result<Key, Malformed> {
        if chain.len() > LONGEST_CHAIN {
            return Err(Malformed("token with too many certificates"));
        }
        let decoded: Result<Vec<_>, _> = chain
            .iter()
            .map(|text| STANDARD.decode(text).map(CertificateDer::from))
            .collect();
        let chain = decoded.map_err(|_| Malformed("token with a malformed certificate"))?;
        let [leaf, intermediates @ ..] = &*chain else {
            return Err(Malformed("token without a certificate"));
        };
        if self.certificates.contains(leaf) {
            check_time(leaf)?;
        } else {
            self.verify(leaf, intermediates)?;
        }
        key_of(leaf).map(|(key, _)| key)
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), Malformed> {
        let untrusted = |_| Malformed("token of a certificate that is not trusted");
        let leaf = EndEntityCert::try_from(leaf).map_err(untrusted)?;
        let (algorithms, now) = (webpki::ALL_VERIFICATION_ALGS, UnixTime::now());
        leaf.verify_for_usage(
            algorithms,
            &self.anchors,
            intermediates,
            now,
            AnyUsage,
            None,
            None,
        )
        .map(|_| ())
        .map_err(untrusted)
    }
}

/// Checks the validity period of a trusted certificate, which is not verified otherwise.
fn check_time(certificate: &CertificateDer<'_>) -> Result<(), Malformed> {
    let (_, certificate) =
        X509Certificate::from_der(certificate).map_err(|_| Malformed("it is malformed"))?;
    if certificate.validity().is_valid() {
        Ok(())
    } else {
        Err(Malformed(
            "token of a certificate outside its validity period",
        ))
    }
}

/// Accepts every key usage, as distribution does: none is defined for signing tokens.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

/// Returns a certificate's key, and the ids by which tokens may name it.
fn key_of(certificate: &CertificateDer<'_>) -> Result<(Key, Vec<String>), Malformed> {
    let unknown =
        Malformed("its key is not supported: use RSA, EC with P-256 or P-384, or Ed25519");
    let (_, certificate) =
        X509Certificate::from_der(certificate).map_err(|_| Malformed("it is malformed"))?;
    let info = certificate.public_key();
    let is_ed25519 = info.algorithm.algorithm.to_id_string() == ED25519;
    let parsed = info.parsed().map_err(|_| unknown)?;
    let key = match &parsed {
        CertificateKey::RSA(rsa) => Some(PublicKey::rsa(rsa.modulus, rsa.exponent)),
        CertificateKey::EC(point) => PublicKey::ec(point.data()),
        CertificateKey::Unknown(bytes) if is_ed25519 => PublicKey::ed25519(bytes),
        _ => None,
    };
    let key = key.ok_or(unknown)?;
    Ok((Key::new(&key), ids_of(&key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_the_bundle_counts_in_its_time_only() {
        for (from, until, is_taken) in
            [(2001, 2100, true), (2001, 2002, false), (2100, 2101, false)]
        {
            let mut params = rcgen::CertificateParams::new(["a".to_owned()]).unwrap();
            (params.not_before, params.not_after) = (
                rcgen::date_time_ymd(from, 1, 1),
                rcgen::date_time_ymd(until, 1, 1),
            );
            let certificate = params
                .self_signed(&rcgen::KeyPair::generate().unwrap())
                .unwrap();
            let bundle = Bundle::parse(certificate.pem().as_bytes()).unwrap();
            assert_eq!(
                bundle
                    .key_of_chain(&[STANDARD.encode(certificate.der())])
                    .is_ok(),
                is_taken,
                "{from} to {until}"
            );
        }
    }
}
