//! What is asked of clients' certificates: Go's four modes (crypto/tls, `ClientAuthType`).

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};

use super::{Error, certificate};

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
    for path in authorities {
        for authority in certificate::read_chain("authority of clients", path)? {
            roots.add(authority).map_err(|error| Error::content("authority of clients", path, error.to_string()))?;
        }
    }
    let hints = roots.subjects();
    let strict = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let settings = |error: rustls::server::VerifierBuilderError| Error::Settings(error.to_string());
    match mode {
        ClientAuth::RequireAndVerify => Ok(strict.build().map_err(settings)?),
        ClientAuth::VerifyIfGiven => Ok(strict.allow_unauthenticated().build().map_err(settings)?),
        ClientAuth::Request | ClientAuth::RequireAny => {
            Ok(Arc::new(AnyCertificate { hints, is_required: mode == ClientAuth::RequireAny, provider: Arc::clone(provider) }))
        }
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
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
