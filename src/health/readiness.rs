//! Readiness of a server on this machine, as its probe `/readyz` reports it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};

use crate::outbound::{Encryption, ExchangeError, exchange};

/// Name of the server in the request and the handshake.
const HOST_NAME: &str = "localhost";

/// Maximum size of the response, in bytes.
const LARGEST: usize = 64 << 10;

/// Address at which a server listens.
pub enum Endpoint {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Asks a server for its readiness; `tls` is the client's configuration if the server expects TLS.
///
/// # Errors
/// No response. A response that is too long, or cut off, has no body.
pub async fn readiness(
    endpoint: &Endpoint,
    tls: Option<ClientConfig>,
) -> Result<Response<Bytes>, ExchangeError> {
    let server = ServerName::try_from(HOST_NAME).map_err(io::Error::other)?;
    let encryption = tls.map(|config| Encryption {
        config: Arc::new(config),
        server,
    });
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = Uri::from_static("/readyz");
    let host = HeaderValue::from_static(HOST_NAME);
    request.headers_mut().insert(HOST, host);
    let response = match endpoint {
        Endpoint::Tcp(address) => {
            exchange(TcpStream::connect(address).await?, encryption, request).await?
        }
        Endpoint::Unix(path) => {
            exchange(UnixStream::connect(path).await?, encryption, request).await?
        }
    };
    let (head, body) = response.into_parts();
    let body = Limited::new(body, LARGEST).collect().await;
    let body = body.map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
    Ok(Response::from_parts(head, body))
}
