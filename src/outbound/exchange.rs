//! One HTTP request over a connection of its own.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::client::cause_of;

/// Reason why a request got no response.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    #[error(transparent)]
    Connection(#[from] io::Error),
    #[error("{}", cause_of(.0))]
    Http(#[from] hyper::Error),
}

/// TLS to one server.
pub(crate) struct Encryption {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) server: ServerName<'static>,
}

/// Sends a request in origin form, and returns the head of the response; its body can still be read.
pub(crate) async fn exchange<S>(
    stream: S,
    encryption: Option<Encryption>,
    request: Request<Empty<Bytes>>,
) -> Result<Response<Incoming>, ExchangeError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    match encryption {
        Some(Encryption { config, server }) => {
            let encrypted = TlsConnector::from(config).connect(server, stream).await?;
            send(encrypted, request).await
        }
        None => send(stream, request).await,
    }
}

async fn send<S>(
    stream: S,
    request: Request<Empty<Bytes>>,
) -> Result<Response<Incoming>, ExchangeError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // ends with the response; the request reports its errors
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

impl ExchangeError {
    /// Reports whether the server ended the handshake because it requires a client certificate.
    pub fn is_asked_for_certificate(&self) -> bool {
        use AlertDescription::{BadCertificate, CertificateRequired, HandshakeFailure};
        let alert = match self {
            Self::Connection(error) => alert_in(error),
            Self::Http(error) => std::error::Error::source(error)
                .and_then(|cause| cause.downcast_ref::<io::Error>())
                .and_then(alert_in),
        };
        matches!(
            alert,
            Some(BadCertificate | CertificateRequired | HandshakeFailure)
        )
    }

    /// Reports whether the server responds with something other than HTTP.
    pub fn is_not_http(&self) -> bool {
        matches!(self, Self::Http(error) if error.is_parse())
    }
}

/// Returns the alert by which the server ended the handshake.
fn alert_in(error: &io::Error) -> Option<AlertDescription> {
    match error.get_ref()?.downcast_ref() {
        Some(rustls::Error::AlertReceived(alert)) => Some(*alert),
        _ => None,
    }
}
