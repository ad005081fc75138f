//! Verification of client certificates, in Go's four modes (crypto/tls, `ClientAuthType`).

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};

use super::certificate::{self, Certificate};
use super::error::Error;

/// Requirement on a client's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// A certificate is requested but not required; any is accepted.
    Request,
    /// A certificate is required; any is accepted.
    RequireAny,
    /// A certificate is not required; one that is given must be issued by an authority.
    VerifyIfGiven,
    /// A certificate issued by an authority is required.
    RequireAndVerify,
}

/// Creates the verifier of client certificates.
///
/// # Errors
/// A file of an authority that cannot be read or holds no certificate.
pub(super) fn verifier(
    authorities: &[PathBuf],
    mode: ClientAuth,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    let mut listed = Vec::new();
    for path in authorities {
        for (authority, number) in certificate::read_chain("authority of clients", path)?
            .into_iter()
            .zip(1..)
        {
            listed.push(authority.clone());
            let unusable = |_| {
                Error::content(
                    "authority of clients",
                    path,
                    format!("its certificate number {number} is not an X.509 certificate"),
                )
            };
            roots.add(authority).map_err(unusable)?;
        }
    }
    let hints = roots.subjects();
    let strict = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let settings = |error: rustls::server::VerifierBuilderError| Error::Settings(error.to_string());
    match mode {
        ClientAuth::RequireAndVerify => Ok(Arc::new(Listed {
            strict: strict.build().map_err(settings)?,
            listed,
        })),
        ClientAuth::VerifyIfGiven => Ok(Arc::new(Listed {
            strict: strict.allow_unauthenticated().build().map_err(settings)?,
            listed,
        })),
        ClientAuth::Request | ClientAuth::RequireAny => Ok(Arc::new(AnyCertificate {
            hints,
            is_required: mode == ClientAuth::RequireAny,
            provider: Arc::clone(provider),
        })),
    }
}

/// Verifier that also accepts the listed certificates themselves, as Go does and rustls does not.
///
/// A client certificate made as in Docker's documentation (`openssl req -x509`) is an authority's, and listed as one.
#[derive(Debug)]
struct Listed {
    strict: Arc<dyn ClientCertVerifier>,
    listed: Vec<CertificateDer<'static>>,
}

impl ClientCertVerifier for Listed {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.strict.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.strict.client_auth_mandatory()
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.strict
            .verify_client_cert(own, others, now)
            .or_else(|error| {
                let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
                let now = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
                let is_listed = self.listed.iter().any(|listed| **listed == **own);
                let is_valid =
                    || Certificate::read(own).is_some_and(|read| read.complaint(now).is_none());
                if is_listed && is_valid() {
                    Ok(ClientCertVerified::assertion())
                } else {
                    Err(error)
                }
            })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.strict
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.strict
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.strict.supported_verify_schemes()
    }
}

/// Verifier that accepts any certificate whose key the client has.
#[derive(Debug)]
struct AnyCertificate {
    hints: Vec<DistinguishedName>,
    is_required: bool,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
