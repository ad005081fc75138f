//! A client of other servers: it keeps connections, verifies certificates, uses proxies, and streams answers.

use std::io;
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
use rustls::ClientConfig;

use super::addresses::{Forbidden, Reach, Server};
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
    /// Servers that may have any address, also a link-local one.
    pub(crate) exempt: Vec<Server>,
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
    any: Pool,
    public: Pool,
    connector: Connector,
    config: ClientConfig,
}

/// Connections to some kind of addresses.
type Pool = legacy::Client<HttpsConnector<Connector>, Full<Bytes>>;

/// Reason why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("connection failed: {0}")]
    Connection(String),
    /// Address that may not be reached.
    #[error("{0}")]
    Forbidden(String),
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
        let connector = Connector::new(proxies, settings.connect_timeout, settings.exempt);
        Ok(Self::with(config, connector))
    }

    fn with(config: ClientConfig, connector: Connector) -> Self {
        let pool = |reach| {
            let https = HttpsConnectorBuilder::new()
                .with_tls_config(config.clone())
                .https_or_http()
                .enable_http1()
                .wrap_connector(connector.reaching(reach));
            legacy::Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(IDLE_CONNECTIONS)
                .build(https)
        };
        Self {
            any: pool(Reach::Any),
            public: pool(Reach::Public),
            connector,
            config,
        }
    }

    /// Returns a client of the same settings with connections of its own.
    ///
    /// A connection ends with the runtime that opened it, so work in a runtime of its own must not lend its connections.
    pub(crate) fn apart(&self) -> Self {
        Self::with(self.config.clone(), self.connector.clone())
    }

    /// Sends a request with an absolute URL, and returns the head of the answer; its body can still be read.
    ///
    /// # Errors
    /// [`SendError`]; its texts hold no part of the request.
    pub(crate) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        reach: Reach,
    ) -> Result<Response<Incoming>, SendError> {
        let agent = HeaderValue::from_static("tarkeep");
        request.headers_mut().entry(USER_AGENT).or_insert(agent);
        // an encrypted request passes through a tunnel, whose proxy got the login already
        if request.uri().scheme() == Some(&Scheme::HTTP)
            && let Some(login) = self.connector.proxy_login(request.uri())
        {
            request.headers_mut().insert(PROXY_AUTHORIZATION, login);
        }
        let pool = match reach {
            Reach::Any => &self.any,
            Reach::Public => &self.public,
        };
        pool.request(request).await.map_err(|error| {
            let cause = cause_of(&error);
            if is_forbidden(&error) {
                SendError::Forbidden(cause)
            } else if error.is_connect() {
                SendError::Connection(cause)
            } else {
                SendError::Http(cause)
            }
        })
    }
}

/// Reports whether the address alone was wrong.
fn is_forbidden(error: &(dyn std::error::Error + 'static)) -> bool {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .filter_map(|cause| cause.downcast_ref::<io::Error>()?.get_ref())
        .any(|inner| inner.is::<Forbidden>())
}

/// Returns the innermost cause of an error, which alone is specific.
pub(super) fn cause_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Serves empty answers on the loopback address, as the port of a service that nobody outside should reach.
    fn service() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
        });
        port
    }

    fn client(exempt: Vec<Server>) -> Client {
        let settings = ClientSettings {
            authorities: Authorities::None,
            proxy: Proxy::Environment,
            connect_timeout: Duration::from_secs(20),
            exempt,
        };
        Client::new(settings).unwrap()
    }

    /// The address counts that is connected to, whatever the name; so does the port of what is exempt.
    #[tokio::test]
    async fn a_public_server_leads_to_no_service_of_this_machine() {
        let port = service();
        let plain = client(Vec::new());
        for host in ["127.0.0.1", "localhost"] {
            let request = || {
                let url = format!("http://{host}:{port}/");
                let request = Request::get(url).body(Full::default());
                request.unwrap()
            };
            let reached = plain.send(request(), Reach::Any).await.unwrap();
            assert_eq!(
                Reach::of(&reached),
                Reach::Any,
                "it may lead to its neighbours"
            );
            let refused = plain.send(request(), Reach::Public).await;
            assert!(
                matches!(refused, Err(SendError::Forbidden(_))),
                "{refused:?}"
            );
            let other = client(vec![Server::new(host, Some(1)), Server::new(host, None)]);
            let refused = other.send(request(), Reach::Public).await;
            assert!(
                matches!(refused, Err(SendError::Forbidden(_))),
                "{refused:?}"
            );
            let exempt = client(vec![Server::new(host, Some(port))]);
            assert!(exempt.send(request(), Reach::Public).await.is_ok());
        }
    }
}
