//! Certificates, made as needed.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};

use crate::harness::sandbox::Sandbox;
use crate::harness::server::address;

/// An authority that nobody knows until told.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate, and its key, in PEM.
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Leaves what a server on this machine needs, `site.pem` and `site.key`, and what its clients do, `certs/ca.crt`.
    pub fn certify(&self, sandbox: &Sandbox) {
        let Issued { certificate, key } = self.issue(&["localhost", &address()]);
        sandbox.write("certs/ca.crt", self.pem());
        sandbox.write("site.pem", certificate);
        sandbox.write("site.key", key);
    }

    /// A certificate for servers of these names and addresses, and for clients.
    pub fn issue(&self, names: &[&str]) -> Issued {
        let mut params = CertificateParams::new(
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>(),
        )
        .unwrap();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}
