//! Reasons of failed handshakes, in sentences for the owner.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

/// Reason of a failed handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    // the client's certificate
    NoCertificate,
    UnknownAuthority,
    Expired,
    NotYetValid,
    VersionOne,
    NotForClients,
    AuthorityItself,
    Unusable,
    /// The client rejects this server's certificate.
    Refused(Reason),
    // the protocol
    NoCommonVersion,
    NoCommonCipher,
    NoCertificateForHost,
    PlainHttp,
    NotTls,
    Other,
}

/// Reason that a client gives for rejecting a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    UnknownAuthority,
    Expired,
    /// Unspecific, as Go's clients report an unknown authority, a wrong name or a date.
    Bad,
}

impl Failure {
    /// Finds the reason; `None` if the client just left, as scanners and load balancers do.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Self> {
        let cause = error.get_ref()?.downcast_ref::<Error>()?;
        Some(match cause {
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(wrong) => Self::of_certificate(wrong),
            Error::AlertReceived(alert) => Self::of_alert(*alert)?,
            Error::PeerIncompatible(missing) => match missing {
                PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::SupportedVersionsExtensionRequired
                // introduced by TLS 1.2
                | PeerIncompatible::SignatureAlgorithmsExtensionRequired => Self::NoCommonVersion,
                _ => Self::NoCommonCipher,
            },
            // rustls' message if the resolver has no certificate
            Error::General(text) if text.contains("no server certificate chain") => {
                Self::NoCertificateForHost
            }
            Error::InvalidMessage(_)
            | Error::InappropriateMessage { .. }
            | Error::PeerSentOversizedRecord => Self::NotTls,
            _ => Self::Other,
        })
    }

    fn of_certificate(wrong: &CertificateError) -> Self {
        match wrong {
            CertificateError::UnknownIssuer => Self::UnknownAuthority,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::NotForClients
            }
            CertificateError::Other(other) => match other.0.downcast_ref() {
                Some(webpki::Error::UnsupportedCertVersion) => Self::VersionOne,
                Some(webpki::Error::CaUsedAsEndEntity) => Self::AuthorityItself,
                _ => Self::Unusable,
            },
            _ => Self::Unusable,
        }
    }

    fn of_alert(alert: AlertDescription) -> Option<Self> {
        Some(match alert {
            AlertDescription::UnknownCA => Self::Refused(Reason::UnknownAuthority),
            AlertDescription::CertificateExpired => Self::Refused(Reason::Expired),
            AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate => Self::Refused(Reason::Bad),
            AlertDescription::ProtocolVersion => Self::NoCommonVersion,
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
                Self::NoCommonCipher
            }
            AlertDescription::UserCanceled | AlertDescription::CloseNotify => return None,
            _ => Self::Other,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoCertificate => "it shows no certificate, which http.tls.clientauth asks for: give it one, /etc/docker/certs.d/HOST:PORT/client.cert and client.key for Docker",
            Self::UnknownAuthority => "its certificate is of no authority in http.tls.clientcas: have one of them issue a certificate, or add its authority there",
            Self::Expired => "its certificate has expired: have a new one issued",
            Self::NotYetValid => "its certificate is not valid yet: wait, or check the clocks of client, authority and this server",
            Self::VersionOne => {
                "its certificate is of version 1 of X.509, which is not supported: have one of version 3 issued by giving openssl x509 -req an -extfile with a line such as extendedKeyUsage=clientAuth"
            }
            Self::NotForClients => "its certificate is not meant for clients: have one issued with extendedKeyUsage=clientAuth, or without that extension",
            Self::AuthorityItself => "its certificate is an authority's own: have that authority issue one without CA:TRUE, or add this one to http.tls.clientcas",
            Self::Unusable => "its certificate cannot be used: it is damaged, or has an unsupported key, signature or extension",
            Self::Refused(Reason::UnknownAuthority) => {
                "it does not know the authority of this server's certificate: give it that authority's, /etc/docker/certs.d/HOST:PORT/ca.crt for Docker, and check that http.tls.certificate contains the intermediate ones"
            }
            Self::Refused(Reason::Expired) => "it says that this server's certificate has expired: renew http.tls.certificate, or check the client's clock",
            Self::Refused(Reason::Bad) => {
                "it rejects this server's certificate: it may not know the authority (/etc/docker/certs.d/HOST:PORT/ca.crt for Docker), ask for a name that is not in the certificate, or find it expired"
            }
            Self::NoCommonVersion => "it supports no version of TLS that this server accepts: 1.2 and later, or http.tls.minimumtls and later",
            Self::NoCommonCipher => "it has no cipher suite, key exchange or signature in common with this server: check http.tls.ciphersuites and the kind of the certificate's key",
            Self::NoCertificateForHost => "there is no certificate for the host that it asks for: add it to http.tls.letsencrypt.hosts",
            Self::PlainHttp => "it speaks HTTP without TLS: have it use https://, or remove http.tls",
            Self::NotTls => "what it sends is not TLS",
            Self::Other => "it violates the protocol",
        })
    }
}
