//! What is asked of clients' certificates: Go's four modes (crypto/tls, `ClientAuthType`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};

use super::Error;
use super::certificate::{self, Certificate};

/// What is asked of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// A certificate is asked for; none is needed, and any will do.
    Request,
    /// Any certificate will do.
    RequireAny,
    /// If there is a certificate, it is one of the authorities'.
    VerifyIfGiven,
    /// A certificate of one of the authorities.
    RequireAndVerify,
}

/// Makes the judge of clients' certificates.
///
/// # Errors
/// Files of authorities that cannot be read or hold no certificate.
pub(super) fn verifier(
    authorities: &[PathBuf],
    mode: ClientAuth,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    let mut listed = Vec::new();
    for path in authorities {
        for (place, authority) in certificate::read_chain("authority of clients", path)?
            .into_iter()
            .enumerate()
        {
            listed.push(authority.clone());
            let unusable = |_| {
                Error::content(
                    "authority of clients",
                    path,
                    format!(
                        "its certificate number {} is no X.509 certificate",
                        place + 1
                    ),
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

/// Verifies as rustls does, and takes what the owner has listed itself as well: a client that has made its certificate as
/// Docker's documentation has it (`openssl req -x509`) is an authority by that, which rustls takes for no client, and Go does.
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
                let moment = UNIX_EPOCH + Duration::from_secs(now.as_secs());
                let is_listed = self.listed.iter().any(|listed| **listed == **own);
                let is_in_time =
                    || Certificate::read(own).is_some_and(|read| read.complaint(moment).is_none());
                if is_listed && is_in_time() {
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

/// Takes whatever certificate a client has the key of.
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
