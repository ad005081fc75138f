//! Generated certificates, and clients that verify them.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::Client;
use crate::support::client::dial_tcp;

/// An authority that issues certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key in PEM.
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl Issued {
    /// Writes `cert.pem` and `key.pem`.
    pub fn write(&self, directory: &Path) {
        std::fs::write(directory.join("cert.pem"), &self.certificate).expect("a file");
        std::fs::write(directory.join("key.pem"), &self.key).expect("a file");
    }
}

pub fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>(),
    )
    .expect("names")
}

impl Authority {
    pub fn new(name: &str) -> Self {
        Self::of(name, params(&[]))
    }

    pub fn of(name: &str, mut params: CertificateParams) -> Self {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key"))
            .expect("an authority");
        Self { issuer }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The authority's own certificate and key.
    pub fn self_signed(&self) -> Issued {
        Issued {
            certificate: self.pem(),
            key: self.issuer.key().serialize_pem(),
        }
    }

    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_as(params(names))
    }

    pub fn issue_as(&self, params: CertificateParams) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Configuration of a client that trusts this authority alone.
    pub fn client_config(&self, identity: Option<&Issued>, alpn: &[&str]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = builder.with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes())
                    .collect::<Result<_, _>>()
                    .expect("a chain");
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key");
                builder
                    .with_client_auth_cert(chain, key)
                    .expect("an identity")
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    /// A client of `HOST:PORT` that trusts this authority alone.
    pub fn client(&self, address: &str) -> Client {
        client(address, self.client_config(None, &["http/1.1"]))
    }
}

pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// Connects and completes the handshake, so that a refusal is visible.
pub fn secure(address: &str, config: &Arc<ClientConfig>) -> io::Result<TlsStream> {
    secure_over(dial_tcp(address)?, config)
}

/// As [`secure`], over any connection.
pub fn secure_over<S: Read + Write>(
    connection: S,
    config: &Arc<ClientConfig>,
) -> io::Result<StreamOwned<ClientConnection, S>> {
    let name = ServerName::try_from("localhost").expect("a name");
    let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(session, connection);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

pub fn client(address: &str, config: ClientConfig) -> Client {
    let (target, config) = (address.to_owned(), Arc::new(config));
    Client::over(address, move || Ok(Box::new(secure(&target, &config)?)))
}
