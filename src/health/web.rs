//! Probe of another server by HTTP.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, LOCATION};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

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
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
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
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let roots =
            hyper_rustls::HttpsConnectorBuilder::new().with_provider_and_native_roots(provider);
        let connector = roots.map_err(|error| {
            format!("the system's certificate authorities cannot be read: {error}")
        })?;
        let connector = connector.https_or_http().enable_http1().build();
        Ok(Self {
            uri: target,
            headers: map,
            expected,
            timeout,
            client: Client::builder(TokioExecutor::new()).build(connector),
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
            let mut request = Request::new(Empty::new());
            *request.method_mut() = Method::HEAD;
            *request.uri_mut() = uri.clone();
            // another server does not get the headers, which may hold secrets
            if (uri.host(), uri.port_u16(), uri.scheme())
                == (self.uri.host(), self.uri.port_u16(), self.uri.scheme())
            {
                request.headers_mut().clone_from(&self.headers);
            }
            let answer = self
                .client
                .request(request)
                .await
                .map_err(|error| with_causes(&error))?;
            match redirect_target(&uri, &answer).filter(|_| answer.status() != self.expected) {
                Some(next) => uri = next,
                None => return Ok(answer.status()),
            }
        }
        Err(format!("redirected more than {MAX_REDIRECTS} times"))
    }
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

/// Formats an error with its causes: the outermost one is not specific.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
