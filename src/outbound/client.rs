//! A client of other servers: it keeps connections, verifies certificates, uses proxies, and streams answers.

use std::time::Duration;

use bytes::Bytes;
use http::header::{PROXY_AUTHORIZATION, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::authorities::{Authorities, client_config};
use super::connector::{Connector, is_usable_proxy};

/// Time for which a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(60);
/// Maximum number of connections to one server that nobody uses.
const IDLE_CONNECTIONS: usize = 16;

/// Settings of a client's connections to servers.
#[derive(Clone, Debug)]
pub(crate) struct ClientSettings {
    pub(crate) authorities: Authorities,
    pub(crate) proxy: Proxy,
    /// Maximum time until a connection is there, encryption aside.
    pub(crate) connect_timeout: Duration,
    /// Hosts that may have link-local addresses; others may not, because metadata services of clouds listen there.
    pub(crate) link_local: Vec<String>,
}

/// Choice of a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proxy {
    /// The one that `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` name, in capitals or not.
    Environment,
    /// One with an `http://` URL, which may name a user.
    Url(String),
}

/// A client of other servers. Redirects are not followed.
pub(crate) struct Client {
    inner: legacy::Client<HttpsConnector<Connector>, Full<Bytes>>,
    https: HttpsConnector<Connector>,
    connector: Connector,
}

/// Reason why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("connection failed: {0}")]
    Connection(String),
    #[error("{0}")]
    Http(String),
}

impl Client {
    /// Creates a client. Files are read, which may block.
    ///
    /// # Errors
    /// Authorities that cannot be read and a proxy that cannot be used, in a sentence.
    pub(crate) fn new(settings: ClientSettings) -> Result<Self, String> {
        let proxies = match &settings.proxy {
            Proxy::Environment => Matcher::from_env(),
            Proxy::Url(url) if is_usable_proxy(url) => Matcher::builder().all(&**url).build(),
            Proxy::Url(_) => return Err("a proxy is a URL that begins with http://".to_owned()),
        };
        let config = client_config(&settings.authorities)?;
        let connector = Connector::new(proxies, settings.connect_timeout, settings.link_local);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector.clone());
        Ok(Self::with(https, connector))
    }

    fn with(https: HttpsConnector<Connector>, connector: Connector) -> Self {
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(https.clone());
        Self {
            inner,
            https,
            connector,
        }
    }

    /// Returns a client of the same settings with connections of its own.
    ///
    /// A connection ends with the runtime that opened it, so work in a runtime of its own must not lend its connections.
    pub(crate) fn apart(&self) -> Self {
        Self::with(self.https.clone(), self.connector.clone())
    }

    /// Sends a request with an absolute URL, and returns the head of the answer; its body can still be read.
    ///
    /// # Errors
    /// [`SendError`]; its texts hold no part of the request.
    pub(crate) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, SendError> {
        let agent = HeaderValue::from_static("tarkeep");
        request.headers_mut().entry(USER_AGENT).or_insert(agent);
        // an encrypted request passes through a tunnel, whose proxy got the login already
        if request.uri().scheme() == Some(&Scheme::HTTP)
            && let Some(login) = self.connector.proxy_login(request.uri())
        {
            request.headers_mut().insert(PROXY_AUTHORIZATION, login);
        }
        self.inner.request(request).await.map_err(|error| {
            let cause = cause_of(&error);
            match error.is_connect() {
                true => SendError::Connection(cause),
                false => SendError::Http(cause),
            }
        })
    }
}

/// Returns the innermost cause of an error, which alone is specific.
pub(super) fn cause_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
