//! Probe of another server by HTTP.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, LOCATION};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Empty;
use hyper::body::Incoming;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;

use crate::outbound::{Authorities, Encryption, client_config, exchange};
use crate::redact;

/// Maximum number of redirects to follow.
const MAX_REDIRECTS: usize = 10;

/// `HEAD` request of a URL that must get the expected status.
#[derive(Debug)]
pub struct Web {
    uri: Uri,
    headers: HeaderMap,
    expected: StatusCode,
    timeout: Duration,
    tls: Arc<ClientConfig>,
}

impl Web {
    /// Creates a probe that sends `headers` and trusts the system's certificate authorities.
    ///
    /// # Errors
    /// An invalid URL, header or status, in a sentence.
    pub fn new<'h>(
        uri: &str,
        headers: impl Iterator<Item = (&'h str, &'h str)>,
        expected: u16,
        timeout: Duration,
    ) -> Result<Self, String> {
        let shown = redact::url(uri);
        let target: Uri = uri
            .parse()
            .map_err(|error| format!("'{shown}' is not a URL: {error}"))?;
        if !matches!(target.scheme_str(), Some("http" | "https")) {
            return Err(format!(
                "'{shown}' is not a URL that begins with http:// or https://"
            ));
        }
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let parsed = name
                .parse::<HeaderName>()
                .ok()
                .zip(value.parse::<HeaderValue>().ok());
            let (name, value) = parsed
                .ok_or_else(|| format!("'{name}' and its value cannot be sent as a header"))?;
            map.append(name, value);
        }
        if let Some(credentials) = credentials(&target).filter(|_| !map.contains_key(AUTHORIZATION))
        {
            map.insert(AUTHORIZATION, credentials);
        }
        let expected = StatusCode::from_u16(expected)
            .map_err(|_| format!("{expected} is not an HTTP status"))?;
        Ok(Self {
            uri: target,
            headers: map,
            expected,
            timeout,
            tls: Arc::new(client_config(&Authorities::System)?),
        })
    }

    pub(super) async fn run(&self) -> Result<(), String> {
        let answer = tokio::time::timeout(self.timeout, self.request()).await;
        let status = answer.map_err(|_| format!("no answer within {:?}", self.timeout))??;
        if status == self.expected {
            Ok(())
        } else {
            Err(format!(
                "downstream service returned unexpected status: {}",
                status.as_u16()
            ))
        }
    }

    async fn request(&self) -> Result<StatusCode, String> {
        let mut uri = self.uri.clone();
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.head(&uri).await?;
            match redirect_target(&uri, &answer).filter(|_| answer.status() != self.expected) {
                Some(next) => uri = next,
                None => return Ok(answer.status()),
            }
        }
        Err(format!("redirected more than {MAX_REDIRECTS} times"))
    }

    async fn head(&self, uri: &Uri) -> Result<Response<Incoming>, String> {
        let host = uri.host().ok_or("the URL has no host")?;
        let is_encrypted = uri.scheme() == Some(&Scheme::HTTPS);
        let port = uri
            .port_u16()
            .unwrap_or(if is_encrypted { 443 } else { 80 });
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.method_mut() = Method::HEAD;
        *request.uri_mut() = path_of(uri);
        // another server does not get the headers, which may hold secrets
        if (host, uri.port_u16(), uri.scheme())
            == (
                self.uri.host().unwrap_or_default(),
                self.uri.port_u16(),
                self.uri.scheme(),
            )
        {
            request.headers_mut().clone_from(&self.headers);
        }
        if !request.headers().contains_key(HOST) {
            let name = match uri.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.to_owned(),
            };
            let name = HeaderValue::try_from(name).map_err(|error| error.to_string())?;
            request.headers_mut().insert(HOST, name);
        }
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let encryption = if is_encrypted {
            let server = ServerName::try_from(host.to_owned());
            Some(Encryption {
                config: Arc::clone(&self.tls),
                server: server.map_err(|error| error.to_string())?,
            })
        } else {
            None
        };
        let stream = TcpStream::connect((host, port)).await;
        let stream = stream.map_err(|error| format!("connection failed: {error}"))?;
        exchange(stream, encryption, request)
            .await
            .map_err(|error| error.to_string())
    }
}

/// Returns path and query of a URL, the target of a request to its server.
fn path_of(uri: &Uri) -> Uri {
    uri.path_and_query().cloned().map_or_else(
        || Uri::from_static("/"),
        |target| {
            let mut parts = http::uri::Parts::default();
            parts.path_and_query = Some(target);
            Uri::from_parts(parts).unwrap_or_else(|_| Uri::from_static("/"))
        },
    )
}

/// Returns the `Authorization` for a login in the URL, as Go's client sends it.
fn credentials(target: &Uri) -> Option<HeaderValue> {
    let (user_info, _) = target.authority()?.as_str().rsplit_once('@')?;
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let plain = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    let basic = STANDARD.encode([plain(user), plain(password)].join(&b':'));
    HeaderValue::try_from(format!("Basic {basic}")).ok()
}

/// Returns the target of a redirect, a URL or a path on the same server.
fn redirect_target(from: &Uri, answer: &Response<Incoming>) -> Option<Uri> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = answer.headers().get(LOCATION)?.to_str().ok()?;
    if location.starts_with('/') && !location.starts_with("//") {
        let mut parts = from.clone().into_parts();
        parts.path_and_query = Some(location.parse::<PathAndQuery>().ok()?);
        return Uri::from_parts(parts).ok();
    }
    location
        .parse()
        .ok()
        .filter(|uri: &Uri| uri.scheme().is_some() && uri.authority().is_some())
}
