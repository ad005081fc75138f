//! Why a handshake failed, in sentences for the owner.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

/// What keeps a client and this server from understanding each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// Of the client's certificate.
    NoCertificate,
    UnknownAuthority,
    Expired,
    NotYetValid,
    VersionOne,
    NotForClients,
    AnAuthoritys,
    Unusable,
    /// The client's word about this server's certificate.
    Refused(Reason),
    /// Of what is spoken.
    NoCommonVersion,
    NoCommonCipher,
    NoCertificateForHost,
    PlainHttp,
    NotTls,
    Other,
}

/// What clients say of a certificate that they do not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    UnknownAuthority,
    Expired,
    /// Go says so whatever is wrong: an unknown authority, a wrong name, a date.
    Bad,
}

impl Failure {
    /// Finds out why; none where the client merely left, as scanners and the checks of load balancers do.
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
                // which TLS 1.2 has brought
                | PeerIncompatible::SignatureAlgorithmsExtensionRequired => Self::NoCommonVersion,
                _ => Self::NoCommonCipher,
            },
            // so says rustls where the resolver of certificates has none
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
                Some(webpki::Error::CaUsedAsEndEntity) => Self::AnAuthoritys,
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
            Self::UnknownAuthority => "its certificate is of no authority in http.tls.clientcas: have one of them issue it, or add its authority there",
            Self::Expired => "its certificate has expired: have another one issued",
            Self::NotYetValid => "its certificate is not valid yet: wait, or look at the clocks of client, authority and this server",
            Self::VersionOne => {
                "its certificate is of version 1 of X.509, which rustls does not take: have one of version 3 issued, by giving openssl x509 -req an -extfile with a line such as extendedKeyUsage=clientAuth"
            }
            Self::NotForClients => "its certificate is not meant for clients: have one issued with extendedKeyUsage=clientAuth, or without that extension",
            Self::AnAuthoritys => "its certificate is an authority's own: have that authority issue one without CA:TRUE, or add this very one to http.tls.clientcas",
            Self::Unusable => "its certificate cannot be used: it is damaged, or has a key, a signature or an extension that rustls does not know",
            Self::Refused(Reason::UnknownAuthority) => {
                "it does not know the authority of this server's certificate: give it that authority's, /etc/docker/certs.d/HOST:PORT/ca.crt for Docker, and see that http.tls.certificate holds those in between"
            }
            Self::Refused(Reason::Expired) => "it says that this server's certificate has expired: renew http.tls.certificate, or look at the client's clock",
            Self::Refused(Reason::Bad) => {
                "it does not take this server's certificate: it may not know the authority (/etc/docker/certs.d/HOST:PORT/ca.crt for Docker), ask for a name that is not in the certificate, or find it out of its time"
            }
            Self::NoCommonVersion => "it speaks no version of TLS that is spoken here: those from 1.2 on, or from http.tls.minimumtls on",
            Self::NoCommonCipher => "it has no cipher suite, key exchange or signature in common with this server: see http.tls.ciphersuites, and which kind of key the certificate has",
            Self::NoCertificateForHost => "there is no certificate for the host that it asks for: http.tls.letsencrypt.hosts names those there can be",
            Self::PlainHttp => "it speaks HTTP without TLS: let it ask for https://, or take http.tls out",
            Self::NotTls => "what it sends is not TLS",
            Self::Other => "it does not keep to the protocol",
        })
    }
}
