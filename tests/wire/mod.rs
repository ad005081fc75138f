//! Connections of clients: encryption, HTTP/2, sockets, proxies, limits.

mod addresses;
mod certificates;
mod client_certificates;
mod handshakes;
pub mod http2;
mod limits;
pub mod pki;
mod reloading;
mod sockets;
mod tls;

use std::path::Path;

use crate::support::Server;
use pki::Authority;

/// An HTTPS server and the authority that its clients trust.
pub struct Secure {
    pub server: Server,
    pub authority: Authority,
    pub files: tempfile::TempDir,
}

impl Secure {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts with more variables set, for `127.0.0.1` and `localhost`.
    pub fn with(environment: &[(&str, &str)]) -> Self {
        let files = tempfile::TempDir::new().expect("a directory");
        let authority = Authority::new("an authority");
        authority
            .issue(&["localhost", "127.0.0.1"])
            .write(files.path());
        let server = serve(files.path(), environment);
        Self {
            server,
            authority,
            files,
        }
    }

    fn client(&self) -> crate::support::Client {
        self.authority.client(self.server.address())
    }
}

/// Starts a server with the certificate and key in a directory.
fn serve(files: &Path, environment: &[(&str, &str)]) -> Server {
    let (certificate, key) = (files.join("cert.pem"), files.join("key.pem"));
    let own = [
        (
            "REGISTRY_HTTP_TLS_CERTIFICATE",
            certificate.to_str().expect("a path"),
        ),
        ("REGISTRY_HTTP_TLS_KEY", key.to_str().expect("a path")),
    ];
    Server::with(&[&own[..], environment].concat())
}
