//! Certificate authorities that are trusted to certify other servers.

use std::path::PathBuf;
use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::files::regular_file;

/// Authorities that certify a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Authorities {
    /// None, for servers without encryption.
    None,
    /// Those that the system trusts.
    System,
    /// Those in a PEM file alone.
    File(PathBuf),
    /// Those that the system trusts, and those in a PEM file.
    SystemAnd(PathBuf),
}

/// Returns the configuration of a client that trusts these authorities. Files are read, which may block.
///
/// # Errors
/// Files that cannot be read, or that hold no certificate, in a sentence.
pub(crate) fn client_config(authorities: &Authorities) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match authorities {
        Authorities::None => builder.with_root_certificates(RootCertStore::empty()),
        Authorities::System => builder.with_native_roots().map_err(|error| {
            format!("the system's certificate authorities cannot be read: {error}")
        })?,
        Authorities::File(path) => {
            let roots = roots(path).map_err(|error| format!("{}: {error}", path.display()))?;
            builder.with_root_certificates(roots)
        }
        Authorities::SystemAnd(path) => {
            let mut roots = roots(path).map_err(|error| format!("{}: {error}", path.display()))?;
            // some of them may be unreadable, or none there: the file may be all that is needed
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            builder.with_root_certificates(roots)
        }
    };
    Ok(builder.with_no_client_auth())
}

fn roots(path: &std::path::Path) -> Result<RootCertStore, String> {
    let content = regular_file::read(path).map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&content) {
        let certificate = certificate.map_err(|error| format!("it is not a PEM file: {error}"))?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    match roots.is_empty() {
        true => Err("it holds no certificate".to_owned()),
        false => Ok(roots),
    }
}
